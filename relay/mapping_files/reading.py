"""How the values of a mapping file are read: a field of a schema, its reader, and what of the reader is told to editors.

The readers themselves, one for each kind of value, are in `readers` and `reference_readers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar, cast

from marshmallow import ValidationError, fields

T = TypeVar("T")
_Kind = TypeVar("_Kind", bound=Callable[[Any], Any])
#: A JSON Schema of one value; a marshmallow schema in it stands for that schema's own shape.
Shape = Mapping[str, Any]
_SHAPES: dict[Callable[[Any], Any], Shape] = {}


def shaped(shape: Shape) -> Callable[[_Kind], _Kind]:
    """Note what a reader takes. `shape` may hold `examples`, and a `description` that goes behind the key's own."""

    def note(read: _Kind) -> _Kind:
        _SHAPES[read] = shape
        return read

    return note


def shape_of(read: Callable[[Any], Any]) -> Shape:
    """Return what `read` takes; KeyError where nobody noted it."""
    return _SHAPES[read]


class Pointed(str):
    """A message about one place inside a value: `brief`, and `at`, the character of the value (from 0)."""

    __slots__ = ("at", "brief")
    brief: str
    at: int

    def __new__(cls, brief: str, at: int) -> Self:
        """Make the message as it is where the place cannot be told otherwise; the value may be anything: it is not in it."""
        self = super().__new__(cls, f"{brief} (at its character {at + 1})")
        self.brief, self.at = brief, at
        return self


class Read(fields.Field[Any]):
    """A field whose value is what `read` makes of it; `description` and `example` are what admins are told about it."""

    def __init__(self, read: Callable[[Any], Any], description: str, example: Any = None, **options: Any) -> None:
        metadata = {"description": description} | ({} if example is None else {"examples": [example]})
        super().__init__(metadata=metadata, **options)
        self.read = read

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return self.read(value)


def read_each(values: list[Any], read: Callable[[Any], T]) -> tuple[T, ...]:
    """Return what `read` makes of each of `values`; the errors of all of them are raised together.

    The error's `valid_data` holds what could be read, and None in the place of each of the others.
    """
    found: list[T | None] = []
    errors = {}
    for index, value in enumerate(values):
        try:
            found.append(read(value))
        except ValidationError as error:
            errors[index] = error.messages
            found.append(None)
    if errors:
        raise ValidationError(errors, valid_data=found)
    return tuple(cast(list[T], found))


def one_or_more(read: Callable[[Any], T], what: str) -> Callable[[Any], tuple[T, ...]]:
    """Return a reader of one value, or of a list of them with at least one."""

    shape = shape_of(read)

    @shaped({"anyOf": [shape, {"type": "array", "items": shape, "minItems": 1}], "examples": shape.get("examples", [])})
    def read_all(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            return (read(value),)
        if not value:
            raise ValidationError(f"an empty list: name at least one {what}")
        return read_each(value, read)

    return read_all


def scalar(value: Any, expected: str) -> str:
    """Return what is written; a list, a block or nothing is not what was `expected`."""
    if isinstance(value, str):
        return value
    raise ValidationError(f"expected {expected}")
