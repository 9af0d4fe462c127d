"""What a payload's value means, whatever shape the sender gave it (DESIGN section 4, "normalised")."""

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
#: Unix milliseconds of the first and the last moment that a `datetime` tells.
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
#: Longer numbers than this are nobody's state or version.
_MOST_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Value:
    """A payload's value: the machine's `value`, the people's `label`; one of them is there."""

    value: str | None
    label: str | None = None

    @property
    def text(self) -> str:
        """The value, or its label where there is no value."""
        return self.value or self.label or ""


def normalise(raw: Any) -> Value | None:
    """Return the value of a scalar or of `{value, display_value}`, or None where it is no value at all."""
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
    """Return what a state is matched by: `6`, `6.0` and `06` are one, labels ignore case and spaces."""
    match = _WHOLE_NUMBER.fullmatch(text)
    if match and len(match[1]) <= _MOST_DIGITS:
        return str(int(match[1]))
    return "".join(text.split()).casefold()


def table_key(text: str) -> str:
    """Return what a table is matched by: `change_request` and its label `Change Request` are one."""
    return "".join(text.split()).replace("_", "").casefold()


def parse_date_time(text: str) -> int | None:
    """Return the Unix milliseconds of an ISO 8601 date and time, UTC where it names no zone; None for anything else.

    A date without a time is nothing to order updates by, and counts as anything else.
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
    """Tell whether UTF-8 has all of `text`: the environment and JSON can hold halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def format_time(at_ms: int) -> str:
    """Return Unix milliseconds as ISO 8601 UTC, with milliseconds.

    A date's offset can carry it out of the years 1 to 9999, which are all that can be told: it is told as the nearest moment.
    OverflowError: no date has that time.
    """
    nearest = min(max(at_ms, _FIRST), _LAST)
    if abs(at_ms - nearest) > _DAY:
        raise OverflowError("no date has that time")
    second, millisecond = divmod(nearest, 1000)
    return f"{_format_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=64)  # many log lines are of one second
def _format_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat().removesuffix("+00:00")
