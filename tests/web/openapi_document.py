"""The OpenAPI document in tests, and validators of its schemas."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from relay.web.openapi.openapi_document import make_document

METHODS = ("get", "post", "put", "patch", "delete")


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    return make_document()


@cache
def strict_document() -> dict[str, Any]:
    """Return the document with schemas that forbid additional members, unless they allow them explicitly."""
    strict = copy.deepcopy(document())
    for schema in strict["components"]["schemas"].values():
        schema.setdefault("additionalProperties", False)
    return strict


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method and the content of each operation."""
    for path, item in document()["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    """Return `part`, or the part that its `$ref` points to."""
    found = document()
    if "$ref" not in part:
        return part
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    """Return why `value` does not match a schema of the document without additional members."""
    registry: Registry[Any] = Registry().with_resource("urn:document", DRAFT202012.create_resource(strict_document()))
    absolute = _absolute(schema)
    validator = Draft202012Validator(absolute, registry=registry, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def _absolute(part: Any) -> Any:
    if isinstance(part, list):
        return [_absolute(item) for item in part]
    if isinstance(part, dict):
        return {
            name: f"urn:document{value}" if name == "$ref" and isinstance(value, str) else _absolute(value)
            for name, value in part.items()
        }
    return part
