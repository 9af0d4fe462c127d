"""Short spellings of the marshmallow fields that the schemas of answers are made of: each says what it means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields, validate


class Either(fields.Field[Any]):
    """A member that is one of several objects."""

    def __init__(self, *schemas: type[Schema], **options: Any) -> None:
        super().__init__(**options)
        self.schemas = schemas


def text(
    told: str,
    *,
    null: bool = False,
    optional: bool = False,
    choices: Sequence[str] = (),
    key: str | None = None,
    **more: Any,
) -> fields.String:
    """Return a member that is text; `more` goes into its JSON Schema, `key` is its name where Python has that one."""
    return fields.String(
        required=not optional,
        allow_none=null,
        data_key=key,
        validate=validate.OneOf(choices) if choices else None,
        metadata={"description": told, **more},
    )


def moment(told: str, *, null: bool = False, optional: bool = False) -> fields.String:
    """Return a member that is a time: ISO 8601, UTC."""
    return text(told, null=null, optional=optional, format="date-time")


def count(told: str, *, null: bool = False, optional: bool = False, **more: Any) -> fields.Integer:
    """Return a member that is a whole number."""
    return fields.Integer(required=not optional, allow_none=null, metadata={"description": told, **more})


def number(told: str, *, null: bool = False, optional: bool = False) -> fields.Float:
    """Return a member that is a number."""
    return fields.Float(required=not optional, allow_none=null, metadata={"description": told})


def flag(told: str, *, null: bool = False, optional: bool = False) -> fields.Boolean:
    """Return a member that is true or false."""
    return fields.Boolean(required=not optional, allow_none=null, metadata={"description": told})


def anything(told: str) -> fields.Raw:
    """Return a member that is whatever somebody else sent."""
    return fields.Raw(required=True, allow_none=True, metadata={"description": told})


def one(schema: type[Schema], told: str, *, null: bool = False, optional: bool = False) -> fields.Nested:
    """Return a member that is an object of its own."""
    return fields.Nested(schema, required=not optional, allow_none=null, metadata={"description": told})


def several(of: type[Schema] | fields.Field[Any], told: str, *, optional: bool = False) -> fields.List[Any]:
    """Return a member that is a list."""
    inner = of if isinstance(of, fields.Field) else fields.Nested(of)
    return fields.List(inner, required=not optional, metadata={"description": told})
