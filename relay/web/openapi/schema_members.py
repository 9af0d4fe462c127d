"""Short constructors for the marshmallow fields of the answers' schemas. Each takes the member's description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields, validate


class OneOfSchemas(fields.Field[Any]):
    """A member that matches one of several schemas."""

    def __init__(self, *schemas: type[Schema], **options: Any) -> None:
        super().__init__(**options)
        self.schemas = schemas


def text(
    description: str,
    *,
    null: bool = False,
    optional: bool = False,
    choices: Sequence[str] = (),
    key: str | None = None,
    **more: Any,
) -> fields.String:
    """Return a text member. `more` is added to its JSON Schema; `key` is its name if that is a keyword of Python."""
    return fields.String(
        required=not optional,
        allow_none=null,
        data_key=key,
        validate=validate.OneOf(choices) if choices else None,
        metadata={"description": description, **more},
    )


def timestamp(description: str, *, null: bool = False, optional: bool = False) -> fields.String:
    """Return a member for a point in time: ISO 8601, UTC."""
    return text(description, null=null, optional=optional, format="date-time")


def integer(description: str, *, null: bool = False, optional: bool = False, **more: Any) -> fields.Integer:
    """Return a member for a whole number. `more` is added to its JSON Schema."""
    return fields.Integer(required=not optional, allow_none=null, metadata={"description": description, **more})


def number(description: str, *, null: bool = False, optional: bool = False) -> fields.Float:
    """Return a member for a number."""
    return fields.Float(required=not optional, allow_none=null, metadata={"description": description})


def boolean(description: str, *, null: bool = False, optional: bool = False) -> fields.Boolean:
    """Return a member that is true or false."""
    return fields.Boolean(required=not optional, allow_none=null, metadata={"description": description})


def any_value(description: str) -> fields.Raw:
    """Return a member for JSON of any kind."""
    return fields.Raw(required=True, allow_none=True, metadata={"description": description})


def nested(schema: type[Schema], description: str, *, null: bool = False, optional: bool = False) -> fields.Nested:
    """Return a member that is an object."""
    return fields.Nested(schema, required=not optional, allow_none=null, metadata={"description": description})


def list_of(item: type[Schema] | fields.Field[Any], description: str, *, optional: bool = False) -> fields.List[Any]:
    """Return a member that is a list."""
    inner = item if isinstance(item, fields.Field) else fields.Nested(item)
    return fields.List(inner, required=not optional, metadata={"description": description})


def cursor_member() -> fields.String:
    """Return the member of a page that leads to the next page."""
    return text("The `cursor` of the next page; null on the last page", null=True)
