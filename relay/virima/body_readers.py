"""What one value of a body may be: strictly in what we send, as well as it can be read in what Virima answers."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError, fields

#: A longer text is cut (characters).
_MOST_TEXT = 1000
_ID = re.compile(r"\d{1,18}", re.ASCII)


class Read(fields.Field[Any]):
    """A field whose value is what `read` makes of it."""

    def __init__(self, read: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(allow_none=True, **options)
        self.read = read

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return self.read(value)


def expect(expected: str, *types: type) -> Callable[[Any], Any]:
    """Return a reader of values of exactly these types: true is no number."""

    def read(value: Any) -> Any:
        if type(value) not in types:
            raise ValidationError(f"expected {expected}")
        return value

    return read


def read_filled(value: Any) -> Any:
    """Return text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise ValidationError("expected text that is not blank")
    return value


def read_text(value: Any) -> str | None:
    """Return text or a number as a text without control characters and half surrogates; None for anything else."""
    match value:
        case bool() | None:
            return None
        case str():
            text = "".join(" " if unicodedata.category(one) in {"Cc", "Cs"} else one for one in value[:_MOST_TEXT])
            return text.strip() or None
        case int() | float():
            return str(value)[:_MOST_TEXT]
        case _:
            return None


def read_flag(value: Any) -> bool | None:
    """Return a boolean, whether it came as one, as 0 or 1 or as a word; None for anything else."""
    match value:
        case bool():
            return value
        case str() if value.strip().lower() in {"true", "false", "1", "0"}:
            return value.strip().lower() in {"true", "1"}
        case 0 | 1 | 0.0 | 1.0:
            return bool(value)
        case _:
            return None


def read_id(value: Any) -> int:
    """Return an id, which may come as digits in a text, or 0 where there is none.

    Raises:
        ValidationError: it is something else altogether.
    """
    match value:
        case None:
            return 0
        case str() if not value.strip():
            return 0
        case str() if _ID.fullmatch(value.strip()):
            return int(value)
        case float() if math.isfinite(value) and value.is_integer():
            return int(value)
        case int() if not isinstance(value, bool) and abs(value) < 10**18:
            return value
        case _:
            raise ValidationError("expected a whole number")


class Id(Read):
    """An id; null is none."""

    def __init__(self) -> None:
        super().__init__(read_id, load_default=0)

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        """Return the id, or 0."""
        return 0 if value is None else super().deserialize(value, attr, data, **kwargs)
