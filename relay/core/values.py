"""Normalises the values of a payload: see docs/mapping-files/value-normalisation.md."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
_WHOLE_NUMBER = re.compile(r"([+-]?\d+)(?:\.0*)?")
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?\s?(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000
#: Unix milliseconds of the first and the last moment that a `datetime` can represent.
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
#: A longer number is not normalised as a state.
_MAX_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a payload: the stored `value`, the displayed `label`, or both."""

    value: str | None
    label: str | None = None

    @property
    def text(self) -> str:
        """Return the value, or the label if there is no value."""
        return self.value or self.label or ""


def normalise(raw: Any) -> Value | None:
    """Return the value of a scalar or of `{value, display_value}`, or None if it is not a value."""
    if not isinstance(raw, dict):
        text = _scalar(raw)
        return None if text is None else Value(text)
    value, label = _scalar(raw.get("value")), _scalar(raw.get("display_value"))
    return None if value is None and label is None else Value(value, label)


def _scalar(raw: Any) -> str | None:
    match raw:
        case str():
            text = raw.strip()
            return None if not text or text.lower() == "null" or _PLACEHOLDER.search(text) else text
        case bool():
            return "true" if raw else "false"
        case int():
            return str(raw)
        case float() if math.isfinite(raw):
            return str(int(raw)) if raw.is_integer() else repr(raw)
        case _:
            return None


def state_key(text: str) -> str:
    """Return the key of a state: `6`, `6.0` and `06` have the same key; labels ignore case and spaces."""
    match = _WHOLE_NUMBER.fullmatch(text)
    if match and len(match[1]) <= _MAX_DIGITS:
        return str(int(match[1]))
    return "".join(text.split()).casefold()


def table_key(text: str) -> str:
    """Return the key of a table: `change_request` and its label `Change Request` have the same key."""
    return "".join(text.split()).replace("_", "").casefold()


def parse_date_time(text: str) -> int | None:
    """Return the Unix milliseconds of an ISO 8601 date and time, in UTC if it has no zone; None for anything else.

    A date without a time cannot order updates, so the result is None.
    """
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper().replace(",", "."))
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return round((moment - _EPOCH).total_seconds() * 1000)
    except OverflowError:
        return None


def is_text(text: str) -> bool:
    """Return whether UTF-8 can encode `text`: texts from the environment and from JSON can contain lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def format_time(at_ms: int) -> str:
    """Return Unix milliseconds as ISO 8601 in UTC, with milliseconds.

    Because of its offset, a valid date can be slightly outside the years 1 to 9999 in UTC; the result is then the nearest moment.

    Raises:
        OverflowError: no date has this time.
    """
    nearest = min(max(at_ms, _FIRST), _LAST)
    if abs(at_ms - nearest) > _DAY:
        raise OverflowError("no date has this time")
    second, millisecond = divmod(nearest, 1000)
    return f"{_format_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=64)  # many log lines have the same second
def _format_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat().removesuffix("+00:00")
