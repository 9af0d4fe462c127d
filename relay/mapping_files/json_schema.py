"""The JSON Schema (2020-12) of a mapping file, for editors: made of the marshmallow schemas and readers that read the files.

JSON Schema cannot tell everything: bounds of durations, JMESPath, and what keys mean together. `relay mappings check` can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, missing

from relay.core.units import format_duration
from relay.mapping_files.reading import Read, shape_of
from relay.mapping_files.schema import MappingSchema, Strict

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DESCRIPTION = (
    "An integration of the ITSM webhook relay: who may post, how to read what is posted, and where to send it."
)


def make_json_schema(presets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of a mapping file. What `presets` (by source) set is not required, and told as their defaults."""
    whole = _shape_of_schema(MappingSchema())
    preset_keys = {key for preset in presets.values() for key in preset}
    whole["required"] = [key for key in whole["required"] if key not in preset_keys]
    defaults = [_defaults_of(source, preset) for source, preset in presets.items()]
    return {"$schema": _DIALECT, "title": "mapping file", "description": _DESCRIPTION, **whole, "allOf": defaults}


def _defaults_of(source: str, preset: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {key: {"default": value} for key, value in preset.items() if key != "fields"}
    properties["fields"] = {"properties": {key: {"default": value} for key, value in preset["fields"].items()}}
    condition = {"properties": {"source": {"const": source}}, "required": ["source"]}
    return {"if": condition, "then": {"properties": properties}}


def _shape_of_schema(schema: Schema) -> dict[str, Any]:
    known = {field.data_key or name: field for name, field in schema.fields.items()}
    shape: dict[str, Any] = {
        "type": "object",
        "properties": {key: _shape_of_field(field) for key, field in known.items()},
        "additionalProperties": False,
    }
    if required := [key for key, field in known.items() if field.required]:
        shape["required"] = required
    return {**shape, **(schema.constraints if isinstance(schema, Strict) else {})}


def _shape_of_field(field: fields.Field[Any]) -> dict[str, Any]:
    shape = _bare_shape(field)
    more = shape.pop("description", None)
    own = str(field.metadata["description"])
    told: dict[str, Any] = {"description": f"{own} ({more})" if more else own}
    default = _default_of(field)
    examples = field.metadata.get("examples") or shape.pop("examples", None) or _examples_of(field, default)
    shape.pop("examples", None)
    if field.allow_none and shape:
        shape = {"anyOf": [shape, {"type": "null"}]}
    if default is not missing:
        told["default"] = default
    return {**told, "examples": examples, **shape}


def _bare_shape(field: fields.Field[Any]) -> dict[str, Any]:
    match field:
        case Read():
            return {key: _resolve(part) for key, part in shape_of(field.read).items()}
        case fields.Nested():
            return _shape_of_schema(field.schema)
        case fields.List():
            return {"type": "array", "items": _bare_shape(field.inner)}
        case _:
            raise AssertionError(field)


def _resolve(part: Any) -> Any:
    """Return a part of a shape with plain values only; examples inside it are those of the whole."""
    match part:
        case Schema():
            return _shape_of_schema(part)
        case Mapping():
            return {key: _resolve(below) for key, below in part.items()}
        case list():
            return [_resolve(below) for below in part]
        case _:
            return part


def _default_of(field: fields.Field[Any]) -> Any:
    default = field.load_default
    is_none = default is None and not field.allow_none
    if callable(default) or default in ((), [], {}, "") or field.required or is_none:
        return missing
    return format_duration(default) if isinstance(default, float) else default


def _examples_of(field: fields.Field[Any], default: Any) -> list[Any]:
    match field:
        case fields.Nested():
            return [_example_of_schema(field.schema)]
        case fields.List(inner=fields.Nested() as inner):
            return [[_example_of_schema(inner.schema)]]
        case _:
            return [default]


def _example_of_schema(schema: Schema) -> dict[str, Any]:
    """Return the keys that must be there; where none must, the first one."""
    known = {field.data_key or name: field for name, field in schema.fields.items()}
    wanted = [key for key, field in known.items() if field.required] or [next(iter(known))]
    return {key: _shape_of_field(known[key])["examples"][0] for key in wanted}
