"""The JSON Schema (2020-12) of a mapping file, for editors; apispec makes it from the marshmallow schema that reads the files.

JSON Schema cannot express everything: not the bounds of durations, JMESPath, or rules about several keys. `relay mappings check`
checks these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from relay.mapping_files.schema import MappingSchema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DESCRIPTION = (
    "An integration of the ITSM webhook relay: who may post, how records are read, and where updates are pushed."
)


def make_json_schema(presets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of a mapping file, with the defaults that `presets` has for each source."""
    # OpenAPI 3.1 contains JSON Schema 2020-12. Schemas get no names, so that each is written out at the place of its use.
    plugin = MarshmallowPlugin(schema_name_resolver=lambda _schema: "")
    APISpec(title="", version="", openapi_version="3.1.0", plugins=[plugin])
    converter = plugin.converter
    assert converter
    converter.add_attribute_function(_nested_schemas)
    defaults = [_defaults_of(source, preset) for source, preset in presets.items()]
    return {
        "$schema": _DIALECT,
        "title": "mapping file",
        "description": _DESCRIPTION,
        **converter.schema2jsonschema(MappingSchema()),
        "allOf": defaults,
    }


def _defaults_of(source: str, preset: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {key: {"default": value} for key, value in preset.items() if key != "fields"}
    properties["fields"] = {"properties": {key: {"default": value} for key, value in preset["fields"].items()}}
    condition = {"properties": {"source": {"const": source}}, "required": ["source"]}
    return {"if": condition, "then": {"properties": properties}}


def _nested_schemas(self: OpenAPIConverter, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """Convert the schemas inside a reader's shape, which apispec does not search, and keep `propertyNames`, which it drops."""
    shape = ("anyOf", "additionalProperties", "propertyNames")
    return {word: _convert(self, field.metadata[word]) for word in shape if word in field.metadata}


def _convert(converter: OpenAPIConverter, part: Any) -> Any:
    match part:
        case Schema():
            return converter.resolve_nested_schema(part)
        case Mapping():
            return {key: _convert(converter, below) for key, below in part.items()}
        case list():
            return [_convert(converter, below) for below in part]
        case _:
            return part
