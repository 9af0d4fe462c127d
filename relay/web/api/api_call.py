"""How a call of the operator API declares itself: its route, its handler, and its description in the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, Response

from relay.operations.operations import Operations
from relay.web.openapi.components import OPERATORS
from relay.web.openapi.operation_spec import OperationSpec, RequestBodySpec, ResponseSpec

PREFIX = "/api/v1"
#: Problems that every call can end with.
_ALWAYS = ("operator-unknown", "too-many-calls", "too-many-refusals", "api-off")
#: Problems of calls that read Redis, of calls that return a page, and of calls that take a body.
READ = ("store-away",)
PAGE = ("unknown", "wrong-parameter", *READ)
WRITE = ("not-json", "cut-short", "too-large", "wrong-parameter", "unknown", *READ)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the operator API. `handler` takes the operations, and the variable parts of `rule` by name."""

    handler: Callable[..., Response]
    method: str
    #: The path below `PREFIX` in Flask's notation.
    rule: str
    #: The OpenAPI document's `operationId`.
    id: str
    tag: str
    summary: str
    description: str
    responses: tuple[ResponseSpec, ...]
    #: Keys of `PROBLEMS`, without those that every call can end with.
    problems: tuple[str, ...] = ()
    #: Keys of `PARAMETERS`, or parameters of this call only.
    parameters: tuple[str | Mapping[str, Any], ...] = ()
    body: RequestBodySpec | None = None

    @property
    def operation(self) -> OperationSpec:
        """The call in the OpenAPI document."""
        return OperationSpec(
            method=self.method,
            path=PREFIX + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", self.rule),
            id=self.id,
            tag=self.tag,
            summary=self.summary,
            description=self.description,
            responses=self.responses,
            problems=(*self.problems, *_ALWAYS),
            parameters=self.parameters,
            body=self.body,
            security=OPERATORS,
        )

    def add_to(self, blueprint: Blueprint, operations: Operations) -> None:
        """Add the call's route to the API."""
        view = partial(self.handler, operations)
        blueprint.add_url_rule(
            self.rule, endpoint=self.id, view_func=view, methods=[self.method.upper()], strict_slashes=False
        )
