"""Schema fields whose values are read by a function, and the JSON Schema of the values that the function accepts.

The readers are in `value_readers` and `reference_readers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar, cast

from marshmallow import ValidationError

from relay.core.value_field import ValueField

T = TypeVar("T")
_Reader = TypeVar("_Reader", bound=Callable[[Any], Any])
#: A JSON Schema of one value. A marshmallow schema in it stands for its own JSON Schema.
Shape = Mapping[str, Any]
_SHAPES: dict[Callable[[Any], Any], Shape] = {}


def shaped(shape: Shape) -> Callable[[_Reader], _Reader]:
    """Declare the JSON Schema of the values that a reader accepts, for editors. It can contain `examples`."""

    def declare(read: _Reader) -> _Reader:
        _SHAPES[read] = shape
        return read

    return declare


def shape_of(read: Callable[[Any], Any]) -> Shape:
    """Return the JSON Schema of the values that `read` accepts. Raises KeyError if none was declared."""
    return _SHAPES[read]


class MessageAt(str):
    """A message about one character of a value: `brief` without the place, and its index `at` (from 0)."""

    __slots__ = ("at", "brief")
    brief: str
    at: int

    def __new__(cls, brief: str, at: int) -> Self:
        """Make the message that is used if the character cannot be located in the file. It does not contain the value."""
        self = super().__new__(cls, f"{brief} (at character {at + 1} of the value)")
        self.brief, self.at = brief, at
        return self


class ReaderField(ValueField):
    """A field whose value is read by `read`. Its metadata is the reader's JSON Schema and `metadata`."""

    def __init__(self, read: Callable[[Any], Any], *, metadata: Mapping[str, Any], **options: Any) -> None:
        super().__init__(read, metadata={**metadata, **shape_of(read), **metadata}, **options)


def read_each(values: list[Any], read: Callable[[Any], T]) -> tuple[T, ...]:
    """Return the result of `read` for each of `values`; all errors are raised together.

    The error's `valid_data` has the values that could be read, and None for each other value.
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
    """Return a reader of one value, or of a list with at least one value."""
    shape = shape_of(read)

    @shaped({"anyOf": [shape, {"type": "array", "items": shape, "minItems": 1}], "examples": shape.get("examples", [])})
    def read_all(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            return (read(value),)
        if not value:
            raise ValidationError(f"the list is empty: it needs at least one {what}")
        return read_each(value, read)

    return read_all


def scalar(value: Any, expected: str) -> str:
    """Return the text of a scalar. A list, a block or an empty value is an error that names what was `expected`."""
    if isinstance(value, str):
        return value
    raise ValidationError(f"expected {expected}")
