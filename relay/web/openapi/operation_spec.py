"""An operation as the document tells it: what it takes, what it answers, and with which problems it can end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

from relay.web.openapi.problem_specs import PROBLEMS, ProblemSpec

#: A JSON Schema, a marshmallow schema, or several of which an answer is one.
Shape = Mapping[str, Any] | type[Schema] | tuple[type[Schema], ...]

#: Any request may meet a bug, and says so.
_ALWAYS = ("fault",)
_REQUEST_ID = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """An answer that is no problem; `examples` by their names."""

    status: int
    told: str
    shape: Shape
    examples: Mapping[str, Any]
    media: str = "application/json"


@dataclass(frozen=True, slots=True)
class Body:
    """What a request has in it."""

    told: str
    shape: Shape
    examples: Mapping[str, Any]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path; `problems` are names of `PROBLEMS`."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    told: str
    answers: tuple[ResponseSpec, ...]
    problems: tuple[str, ...] = ()
    #: Names of components.
    parameters: tuple[str, ...] = ()
    body: Body | None = None
    security: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as OpenAPI has it; marshmallow schemas in it are left to apispec."""
        told: dict[str, Any] = {
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.told,
        }
        if self.parameters:
            told["parameters"] = list(self.parameters)
        if self.body:
            content = {"application/json": _content(self.body.shape, self.body.examples)}
            told["requestBody"] = {
                "description": self.body.told,
                "required": self.body.required,
                "content": content,
            }
        told["security"] = [{name: []} if name else {} for name in self.security]
        told["responses"] = self._responses()
        return told

    def _responses(self) -> dict[str, Any]:
        responses: dict[str, Any] = {}
        for answer in self.answers:
            response = responses.setdefault(str(answer.status), _response(answer.told))
            response["content"][answer.media] = _content(answer.shape, answer.examples)
        for name in (*self.problems, *_ALWAYS):
            _add_problem(responses, name, PROBLEMS[name])
        return dict(sorted(responses.items()))


def _response(told: str) -> dict[str, Any]:
    return {"description": told, "headers": dict(_REQUEST_ID), "content": {}}


def _content(shape: Shape, examples: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"oneOf": list(shape)} if isinstance(shape, tuple) else shape
    return {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}


def _add_problem(responses: dict[str, Any], name: str, problem: ProblemSpec) -> None:
    response = responses.setdefault(str(problem.status), _response(""))
    response["description"] = "; or ".join(filter(None, [response["description"], problem.told]))
    for header, component in problem.headers.items():
        response["headers"][header] = {"$ref": f"#/components/headers/{component}"}
    content = response["content"].setdefault("application/problem+json", {"schema": problem.schema, "examples": {}})
    content["examples"][name] = {"$ref": f"#/components/examples/{name}"}
