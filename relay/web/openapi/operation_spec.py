"""How the document describes an operation: its input, its answers, and the problems that it can end with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

from relay.web.openapi.problem_specs import PROBLEMS, ProblemSpec

#: A JSON Schema, a marshmallow schema, or several marshmallow schemas: one of them matches.
Shape = Mapping[str, Any] | type[Schema] | tuple[type[Schema], ...]

#: Problems that every operation can end with.
_ALWAYS = ("fault",)
_REQUEST_ID = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """An answer that is not a problem. `examples` are by name."""

    status: int
    description: str
    shape: Shape
    examples: Mapping[str, Any]
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class RequestBodySpec:
    """The body of a request. `examples` are by name."""

    description: str
    shape: Shape
    examples: Mapping[str, Any]
    required: bool = False


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """A method of a path. `problems` are keys of `PROBLEMS`."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    description: str
    responses: tuple[ResponseSpec, ...]
    problems: tuple[str, ...] = ()
    #: Keys of `PARAMETERS`, or parameters of this operation only.
    parameters: tuple[str | Mapping[str, Any], ...] = ()
    body: RequestBodySpec | None = None
    security: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the operation in OpenAPI's form. apispec converts the marshmallow schemas in it."""
        operation: dict[str, Any] = {
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.description,
        }
        if self.parameters:
            operation["parameters"] = [
                parameter if isinstance(parameter, str) else dict(parameter) for parameter in self.parameters
            ]
        if self.body:
            operation["requestBody"] = {
                "description": self.body.description,
                "required": self.body.required,
                "content": {"application/json": _content(self.body.shape, self.body.examples)},
            }
        operation["security"] = [{name: []} if name else {} for name in self.security]
        operation["responses"] = self._responses()
        return operation

    def _responses(self) -> dict[str, Any]:
        responses: dict[str, Any] = {}
        for spec in self.responses:
            response = responses.setdefault(str(spec.status), _response(spec.description))
            response["content"][spec.media_type] = _content(spec.shape, spec.examples)
        for name in (*self.problems, *_ALWAYS):
            _add_problem(responses, name, PROBLEMS[name])
        return dict(sorted(responses.items()))


def _response(description: str) -> dict[str, Any]:
    return {"description": description, "headers": dict(_REQUEST_ID), "content": {}}


def _content(shape: Shape, examples: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"oneOf": list(shape)} if isinstance(shape, tuple) else shape
    return {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}


def _add_problem(responses: dict[str, Any], name: str, problem: ProblemSpec) -> None:
    response = responses.setdefault(str(problem.status), _response(""))
    response["description"] = ". Or: ".join(filter(None, [response["description"], problem.description]))
    for header, component in problem.headers.items():
        response["headers"][header] = {"$ref": f"#/components/headers/{component}"}
    content = response["content"].setdefault("application/problem+json", {"schema": problem.schema, "examples": {}})
    content["examples"][name] = {"$ref": f"#/components/examples/{name}"}
