"""What the tests of the OpenAPI document share: the document, and validators of its schemas."""

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
def closed() -> dict[str, Any]:
    """Return the document with schemas that let no member pass that they do not name, unless they say so."""
    found = copy.deepcopy(document())
    for schema in found["components"]["schemas"].values():
        schema.setdefault("additionalProperties", False)
    return found


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return path, method and operation of all operations."""
    for path, item in document()["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    """Return `part`, or what its `$ref` leads to."""
    found = document()
    if "$ref" not in part:
        return part
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    """Return how `value` does not fit a schema of the document, closed."""
    registry: Registry[Any] = Registry().with_resource("urn:document", DRAFT202012.create_resource(closed()))
    absolute = _absolute(schema)
    validator = Draft202012Validator(absolute, registry=registry, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def _absolute(part: Any) -> Any:
    if isinstance(part, list):
        return [_absolute(one) for one in part]
    if isinstance(part, dict):
        return {
            name: f"urn:document{value}" if name == "$ref" and isinstance(value, str) else _absolute(value)
            for name, value in part.items()
        }
    return part
