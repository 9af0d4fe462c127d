"""What one value of a mapping file may be: a function for each kind, from what `document` read to what the relay uses.

Each raises marshmallow's ValidationError with a sentence that says what to write instead. `reading.Read` makes a field of one.
What a reader takes stands beside it once more as a JSON Schema (`shaped`), for editors: they check while people type.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from marshmallow import ValidationError

from relay.core.id_pattern import IdPattern, PatternError, compile_pattern
from relay.core.path_errors import PathError
from relay.core.paths import FieldPath, compile_path
from relay.core.units import DURATION, parse_duration
from relay.core.values import state_key
from relay.mapping_files.reading import Pointed, Shape, scalar, shaped
from relay.mapping_files.unknown_keys import resembles


@shaped({"type": ["string", "number", "boolean"], "pattern": r"\S"})
def read_text(value: Any) -> str:
    """Return text that is not blank."""
    text = scalar(value, "text")
    if not text.strip():
        raise ValidationError("expected text, found nothing")
    return text


#: RFC 9110, section 5.6.2.
_HTTP_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"


@shaped({"type": ["string", "number", "boolean"], "pattern": _HTTP_NAME})
def read_token(value: Any) -> str:
    """Return the name of a header, or of a scheme of authentication."""
    text = scalar(value, "a name")
    if not re.fullmatch(_HTTP_NAME, text) or text.endswith("\n"):
        raise ValidationError("expected a name as HTTP has them, such as X-API-Key: without blanks, colons or quotes")
    return text


_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")


def _any_case(*words: str) -> str:
    return "|".join("".join(f"[{one.upper()}{one}]" for one in word) for word in words)


def choice(*choices: str) -> Callable[[Any], str]:
    """Return a reader of one of a few words."""
    expected = f"one of {', '.join(choices)}"

    @shaped({"enum": [*choices], "examples": [*choices]})
    def read(value: Any) -> str:
        text = scalar(value, expected)
        if text not in choices:
            near = difflib.get_close_matches(text, choices, n=1) or difflib.get_close_matches(
                text.lower(), choices, n=1
            )
            shown = f"'{text}' is not" if resembles(text, frozenset(choices)) else "expected"
            raise ValidationError(f"{shown} {expected}" + (f"; did you mean '{near[0]}'?" if near else ""))
        return text

    return read


@shaped({"type": ["boolean", "string"], "pattern": f"^(?:{_any_case(*_TRUE, *_FALSE)})$", "examples": [True, False]})
def read_boolean(value: Any) -> bool:
    """Return `true` or `false`, in any of YAML's spellings."""
    text = scalar(value, "true or false").lower()
    if text not in {*_TRUE, *_FALSE}:
        raise ValidationError("expected true or false")
    return text in _TRUE


@shaped({"anyOf": [{"const": True}, {"type": "string", "pattern": f"^(?:{_any_case(*_TRUE)})$"}], "examples": [True]})
def read_true(value: Any) -> bool:
    """Return true, for `ignored`: false would not say what is expected."""
    if not read_boolean(value):
        raise ValidationError("write `ignored: true`, or the state that is expected")
    return True


_MOST_WHOLE = 10**15 - 1
_WHOLE: Shape = {
    "type": ["integer", "string"],
    "pattern": "^[+-]?[0-9]{1,15}$",
    "minimum": -_MOST_WHOLE,
    "maximum": _MOST_WHOLE,
}


@shaped(_WHOLE)
def read_integer(value: Any) -> int:
    """Return a whole number."""
    text = scalar(value, "a whole number")
    if not re.fullmatch("[+-]?[0-9]{1,15}", text):
        raise ValidationError(f"{_shown(text)} is not a whole number, such as 6")
    return int(text)


def integer(least: int, most: int, pattern: str) -> Callable[[Any], int]:
    """Return a reader of a whole number within bounds; `pattern` is what such a number looks like as text."""

    @shaped({**_WHOLE, "minimum": least, "maximum": most, "pattern": pattern})
    def read(value: Any) -> int:
        number = read_integer(value)
        if not least <= number <= most:
            raise ValidationError(f"{number} is out of bounds: {least} to {most}")
        return number

    return read


def duration(least: str, most: str) -> Callable[[Any], float]:
    """Return a reader of seconds, written as `30s`, `10m`, `24h` or `30d`, within bounds."""

    @shaped({"type": "string", "pattern": rf"^\s*{DURATION}\s*$", "description": f"{least} to {most}"})
    def read(value: Any) -> float:
        text = scalar(value, "a duration, such as 30s or 24h")
        try:
            seconds = parse_duration(text)
        except ValueError:
            message = "is not a duration: write a number and a unit, such as 30s, 10m, 24h or 30d"
            raise ValidationError(f"{_shown(text)} {message}") from None
        if not parse_duration(least) <= seconds <= parse_duration(most):
            raise ValidationError(f"{text.strip()} is out of bounds: {least} to {most}")
        return seconds

    return read


def _shown(value: Any) -> str:
    """Return a number with or without a unit as it was written; anything else is not told, wherever it came from."""
    is_number = isinstance(value, str) and re.fullmatch(r"[+-]?[0-9][0-9.]{0,14} ?[a-z]{0,7}", value)
    return f"'{value}'" if is_number else "this"


@shaped({"type": ["string", "boolean"], "minLength": 1})
def read_path(value: Any) -> FieldPath:
    """Return a compiled JMESPath expression."""
    expression = scalar(value, "a JMESPath expression")
    try:
        return compile_path(expression)
    except PathError as error:
        raise ValidationError(Pointed(error.problem, error.at)) from None


@shaped({"type": ["string", "number", "boolean"], "examples": ["^[0-9a-f]{32}$"]})
def read_pattern(value: Any) -> IdPattern:
    """Return a compiled regular expression."""
    text = scalar(value, "a regular expression")
    try:
        return compile_pattern(text)
    except PatternError as error:
        brief = f"not a regular expression: {error.problem}"
        raise ValidationError(brief if error.at is None else Pointed(brief, error.at)) from None


@shaped({"type": "string", "examples": ["10.0.0.0/8"]})
def read_network(value: Any) -> IPv4Network | IPv6Network:
    """Return an address or a network."""
    text = scalar(value, "an address or a network, such as 10.0.0.0/8")
    try:
        return ip_network(text)
    except ValueError:
        raise ValidationError(_explain_network(text)) from None


def _explain_network(text: str) -> str:
    try:
        whole = ip_network(text, strict=False)
    except ValueError:
        return "expected an address or a network, such as 192.0.2.17, 10.0.0.0/8 or 2001:db8::/32"
    return (
        f"{text} is an address with the length of a network: write {whole}, or {text.partition('/')[0]} for one address"
    )


@shaped({"type": "object", "minProperties": 1, "additionalProperties": _WHOLE, "examples": [{"6": 6, "Resolved": 6}]})
def read_states(value: Any) -> Mapping[str, int]:
    """Return ITSM state (number or label, by its `state_key`) → IEM state (a whole number)."""
    if not isinstance(value, dict) or not value:
        raise ValidationError("expected states, such as `6: 6` and `Resolved: 6`, one a line, indented below")
    states: dict[str, int] = {}
    spelt: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    for text, iem_state in value.items():
        key = state_key(text)
        if key in spelt:
            errors[text] = [f"'{text}' is the same state as '{spelt[key]}': keep one of the two"]
            continue
        spelt[key] = text
        try:
            states[key] = read_integer(iem_state)
        except ValidationError:
            errors[text] = [f"{_shown(iem_state)} is not an IEM state: expected a whole number"]
    if errors:
        raise ValidationError(errors)
    return states
