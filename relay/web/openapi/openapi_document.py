"""Builds the OpenAPI 3.1 document: apispec converts the operations and their marshmallow schemas."""

from __future__ import annotations

import inspect
import json
from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from relay import __version__
from relay.web.api.operator_api import CALLS
from relay.web.openapi.components import HEADERS, PARAMETERS, SECURITY_SCHEMES
from relay.web.openapi.document_operations import DOCUMENTS
from relay.web.openapi.health_operations import HEALTH
from relay.web.openapi.operation_spec import OperationSpec
from relay.web.openapi.problem_specs import PROBLEMS
from relay.web.openapi.schema_members import OneOfSchemas
from relay.web.openapi.webhook_operations import WEBHOOKS

OPERATIONS: tuple[OperationSpec, ...] = (*WEBHOOKS, *(call.operation for call in CALLS), *HEALTH, *DOCUMENTS)

_ABOUT = (
    "Accepts ITSM resolution webhooks, stores them durably, and pushes them to HCL IEM until IEM answers Success."
    "\n\nErrors are `application/problem+json` (RFC 9457). Problems and the answers to webhooks begin with the most "
    "important members, because ServiceNow stores only the first 100 characters. Every answer has the header "
    "`X-Request-ID`. Another method on a path is answered 405, another path 404, both with a problem. HEAD and OPTIONS "
    "are answered wherever GET is. An empty parameter of a query string counts as not given. Later versions can add "
    "members to answers: ignore members that you do not know. Times are ISO 8601 in UTC."
)
_TAGS = {
    "Webhooks": "For senders: ServiceNow and Service Exchange.",
    "Integrations": "For operators: the status of integrations.",
    "Deliveries": "For operators: accepted updates and the result of their deliveries.",
    "Rejections": "For operators: webhooks that could not be mapped.",
    "Audit": "For auditors: what happened, and who did it.",
    "Health": "For load balancers and monitoring.",
    "Documents": "This document.",
}


def make_document() -> dict[str, Any]:
    """Return the document."""
    plugin = MarshmallowPlugin(schema_name_resolver=_name_of)
    spec = APISpec(
        title="ITSM webhook relay",
        version=__version__,
        openapi_version="3.1.0",
        info={"description": _ABOUT, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        tags=[{"name": name, "description": description} for name, description in _TAGS.items()],
        servers=[{"url": "/"}],
        plugins=[plugin],
    )
    assert plugin.converter
    plugin.converter.add_attribute_function(_describe_one_of)
    _add_components(spec)
    for operation in OPERATIONS:
        spec.path(path=operation.path, operations={operation.method: operation.as_dict()})
    document: dict[str, Any] = spec.to_dict()
    for (schema, *_), name in plugin.converter.refs.items():
        document["components"]["schemas"][name]["description"] = inspect.getdoc(schema)
    return document


@cache
def document_text() -> str:
    """Return the document as JSON. It is built once per process."""
    return json.dumps(make_document(), ensure_ascii=False, separators=(",", ":"))


def _add_components(spec: APISpec) -> None:
    for name, parameter in PARAMETERS.items():
        spec.components.parameter(name, str(parameter["in"]), dict(parameter))
    for name, header in HEADERS.items():
        spec.components.header(name, dict(header))
    for name, scheme in SECURITY_SCHEMES.items():
        spec.components.security_scheme(name, dict(scheme))
    for name, problem in PROBLEMS.items():
        spec.components.example(name, {"summary": problem.description, "value": problem.example})


def _name_of(schema: type[Schema] | Schema | str) -> str:
    schema_class = schema if isinstance(schema, type) else type(schema)
    return schema_class.__name__.removesuffix("Schema")


def _describe_one_of(self: OpenAPIConverter, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    if not isinstance(field, OneOfSchemas):
        return {}
    return {"oneOf": [self.resolve_nested_schema(schema) for schema in field.schemas]}
