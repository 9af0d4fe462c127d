"""The OpenAPI 3.1 document, made by apispec of the operations and their marshmallow schemas."""

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
from relay.web.openapi.components import HEADERS, PARAMETERS, SECURITY_SCHEMES
from relay.web.openapi.members import Either
from relay.web.openapi.operation_spec import Operation
from relay.web.openapi.operations.delivery_operations import DELIVERIES
from relay.web.openapi.operations.integration_operations import INTEGRATIONS
from relay.web.openapi.operations.probe_operations import PROBES
from relay.web.openapi.operations.rejection_operations import REJECTIONS
from relay.web.openapi.operations.webhook_operations import WEBHOOKS
from relay.web.openapi.problem_specs import PROBLEMS

OPERATIONS: tuple[Operation, ...] = (*WEBHOOKS, *INTEGRATIONS, *DELIVERIES, *REJECTIONS, *PROBES)

_ABOUT = (
    "Takes ITSM resolution webhooks, keeps them durably, and pushes them to HCL IEM until it says "
    "Success.\n\nProblems are `application/problem+json` (RFC 9457); they and the webhooks' answers begin with what "
    "matters, because ServiceNow keeps only the first 100 characters. Every answer carries `X-Request-ID`. Another "
    "method of a path is 405, another path 404, both as problems; HEAD and OPTIONS are answered wherever GET is. A "
    "parameter of a query that is empty counts as not given. Members may be added to answers: pass over those that "
    "you do not know. Times are ISO 8601, UTC."
)
_TAGS = {
    "Webhooks": "For senders: ServiceNow and Service Exchange.",
    "Integrations": "For operators: how integrations stand.",
    "Deliveries": "For operators: what was accepted, and what became of it.",
    "Rejections": "For operators: what could not be mapped.",
    "Audit": "For auditors: what happened, and who did it.",
    "Health": "For load balancers and monitoring.",
    "Documents": "What you are reading.",
}


def make_document() -> dict[str, Any]:
    """Return the document."""
    plugin = MarshmallowPlugin(schema_name_resolver=_name_of)
    spec = APISpec(
        title="ITSM webhook relay",
        version=__version__,
        openapi_version="3.1.0",
        info={"description": _ABOUT, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        tags=[{"name": name, "description": told} for name, told in _TAGS.items()],
        servers=[{"url": "/"}],
        plugins=[plugin],
    )
    assert plugin.converter
    plugin.converter.add_attribute_function(_tell_either)
    _add_components(spec)
    for operation in OPERATIONS:
        spec.path(path=operation.path, operations={operation.method: operation.as_dict()})
    document: dict[str, Any] = spec.to_dict()
    for (schema, *_), name in plugin.converter.refs.items():
        document["components"]["schemas"][name]["description"] = inspect.getdoc(schema)
    return document


@cache
def document_text() -> str:
    """Return the document as JSON, made once per process."""
    return json.dumps(make_document(), ensure_ascii=False, separators=(",", ":"))


def _add_components(spec: APISpec) -> None:
    for name, parameter in PARAMETERS.items():
        spec.components.parameter(name, str(parameter["in"]), dict(parameter))
    for name, header in HEADERS.items():
        spec.components.header(name, dict(header))
    for name, scheme in SECURITY_SCHEMES.items():
        spec.components.security_scheme(name, dict(scheme))
    for name, problem in PROBLEMS.items():
        spec.components.example(name, {"summary": problem.told, "value": problem.example})


def _name_of(schema: type[Schema] | Schema | str) -> str:
    found = schema if isinstance(schema, type) else type(schema)
    return found.__name__.removesuffix("Schema")


def _tell_either(self: OpenAPIConverter, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    if not isinstance(field, Either):
        return {}
    return {"oneOf": [self.resolve_nested_schema(schema) for schema in field.schemas]}
