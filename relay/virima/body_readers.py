"""Readers of the values in Virima's bodies: strict for requests, lenient for answers."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError

#: Longer texts are truncated (characters).
_MAX_TEXT = 1000
_ID = re.compile(r"\d{1,18}", re.ASCII)


def expect(expected: str, *types: type) -> Callable[[Any], Any]:
    """Return a reader of values of exactly these types; `true` is not a number."""

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
    """Return a text or a number as a text without control characters and lone surrogates; None for other values."""
    match value:
        case bool() | None:
            return None
        case str():
            return _printable(value[:_MAX_TEXT]).strip() or None
        case int() | float():
            return str(value)[:_MAX_TEXT]
        case _:
            return None


def read_flag(value: Any) -> bool | None:
    """Return the boolean value of a boolean, of 0 or 1, or of a word; None for other values."""
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
    """Return an id, which can be a number or digits in a text; 0 for null or an empty text.

    Raises:
        ValidationError: the value is something else.
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


def _printable(text: str) -> str:
    return "".join(" " if unicodedata.category(character) in {"Cc", "Cs"} else character for character in text)
