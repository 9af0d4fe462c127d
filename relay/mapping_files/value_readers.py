"""One function for each kind of value in a mapping file: from the string that `document` read to the value that the relay uses.

Each raises marshmallow's ValidationError with a sentence that says what to write instead. `shaped` declares the JSON Schema
of the accepted values, for editors.
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
from relay.mapping_files.reader_field import MessageAt, Shape, one_or_more, read_each, scalar, shape_of, shaped
from relay.mapping_files.unknown_keys import resembles

#: The digits of the longest whole number.
_MAX_DIGITS = 15


@shaped({"type": ["string", "number", "boolean"], "pattern": r"\S"})
def read_text(value: Any) -> str:
    """Return text that is not blank."""
    text = scalar(value, "text")
    if not text.strip():
        raise ValidationError(f"expected text, found {'only spaces' if text else 'nothing'}")
    return text


@shaped({})
def read_any(value: Any) -> Any:
    """Return `value` itself."""
    return value


#: RFC 9110, section 5.6.2.
_HTTP_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"


@shaped({"type": ["string", "number", "boolean"], "pattern": _HTTP_NAME})
def read_http_name(value: Any) -> str:
    """Return the name of an HTTP header or authentication scheme."""
    text = scalar(value, "a name")
    if not re.fullmatch(_HTTP_NAME, text) or text.endswith("\n"):
        raise ValidationError("expected an HTTP name, such as X-API-Key: without spaces, colons or quotes")
    return text


_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")


def any_case(*words: str) -> str:
    """Return the part of a regular expression that matches one of `words` regardless of case."""
    return "|".join("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in words)


def choice(*words: str) -> Callable[[Any], str]:
    """Return a reader of one of a few words."""
    expected = f"one of {', '.join(words)}" if len(words) > 1 else words[0]

    @shaped({"enum": [*words], "examples": [*words]})
    def read(value: Any) -> str:
        text = scalar(value, expected)
        if text not in words:
            near = difflib.get_close_matches(text, words, n=1) or difflib.get_close_matches(text.lower(), words, n=1)
            problem = f"'{text}' is not" if resembles(text, frozenset(words)) else "expected"
            raise ValidationError(f"{problem} {expected}" + (f"; did you mean '{near[0]}'?" if near else ""))
        return text

    return read


@shaped({"type": ["boolean", "string"], "pattern": f"^(?:{any_case(*_TRUE, *_FALSE)})$", "examples": [True, False]})
def read_boolean(value: Any) -> bool:
    """Return `true` or `false`, in any of YAML's spellings."""
    text = scalar(value, "true or false").lower()
    if text not in {*_TRUE, *_FALSE}:
        raise ValidationError("expected true or false")
    return text in _TRUE


@shaped({"anyOf": [{"enum": [True]}, {"type": "string", "pattern": f"^(?:{any_case(*_TRUE)})$"}], "examples": [True]})
def read_true(value: Any) -> bool:
    """Return true, for `ignored`: false would not say what is expected."""
    if not read_boolean(value):
        raise ValidationError("write `ignored: true`, or the expected state")
    return True


_INTEGER: Shape = {
    "type": ["integer", "string"],
    "pattern": f"^[+-]?[0-9]{{1,{_MAX_DIGITS}}}$",
    "minimum": 1 - 10**_MAX_DIGITS,
    "maximum": 10**_MAX_DIGITS - 1,
}


@shaped(_INTEGER)
def read_integer(value: Any) -> int:
    """Return a whole number."""
    text = scalar(value, "a whole number")
    if not re.fullmatch(f"[+-]?[0-9]{{1,{_MAX_DIGITS}}}", text):
        raise ValidationError(f"{_shown(text)} is not a whole number, such as 6")
    return int(text)


def integer(minimum: int, maximum: int) -> Callable[[Any], int]:
    """Return a reader of a positive whole number within bounds."""
    zeros = f"0{{0,{_MAX_DIGITS - len(str(maximum))}}}"
    pattern = rf"^\+?{zeros}(?:{digits_between(minimum, maximum)})$"

    @shaped({**_INTEGER, "minimum": minimum, "maximum": maximum, "pattern": pattern})
    def read(value: Any) -> int:
        number = read_integer(value)
        if not minimum <= number <= maximum:
            raise ValidationError(f"{number} is out of bounds: {minimum} to {maximum}")
        return number

    return read


def digits_between(minimum: int, maximum: int) -> str:
    """Return a regular expression of the whole numbers from `minimum` to `maximum`, both positive, without leading zeros."""
    lengths = range(len(str(minimum)), len(str(maximum)) + 1)
    bounds = ((max(minimum, 10 ** (length - 1)), min(maximum, 10**length - 1)) for length in lengths)
    return "|".join(_same_length(str(low), str(high)) for low, high in bounds)


def _same_length(low: str, high: str) -> str:
    if low == high:
        return low
    if low[0] == high[0]:
        return f"{low[0]}(?:{_same_length(low[1:], high[1:])})"
    first, last, rest = int(low[0]), int(high[0]), len(low) - 1
    parts = []
    if low[1:].strip("0"):
        parts.append(f"{first}(?:{_same_length(low[1:], '9' * rest)})")
        first += 1
    if high[1:].strip("9"):
        parts.append(f"{last}(?:{_same_length('0' * rest, high[1:])})")
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}]" + "[0-9]" * rest)
    return "|".join(parts)


def duration(minimum: str, maximum: str) -> Callable[[Any], float]:
    """Return a reader of seconds, written as `30s`, `10m`, `24h` or `30d`, within bounds."""

    @shaped({"type": "string", "pattern": rf"^\s*{DURATION}\s*$"})
    def read(value: Any) -> float:
        text = scalar(value, "a duration, such as 30s or 24h")
        try:
            seconds = parse_duration(text)
        except ValueError:
            message = "is not a duration: write a number and a unit, such as 30s, 10m, 24h or 30d"
            raise ValidationError(f"{_shown(text)} {message}") from None
        if not parse_duration(minimum) <= seconds <= parse_duration(maximum):
            raise ValidationError(f"{text.strip()} is out of bounds: {minimum} to {maximum}")
        return seconds

    return read


def _shown(value: Any) -> str:
    """Return a number, with or without a unit, in quotes; `this` for any other value, which can be a misplaced secret."""
    is_number = isinstance(value, str) and re.fullmatch(r"[+-]?[0-9][0-9.]{0,14} ?[a-z]{0,7}", value)
    return f"'{value}'" if is_number else "this"


@shaped({"type": ["string", "boolean"], "minLength": 1})
def read_path(value: Any) -> FieldPath:
    """Return a compiled JMESPath expression."""
    expression = scalar(value, "a JMESPath expression")
    try:
        return compile_path(expression)
    except PathError as error:
        raise ValidationError(MessageAt(error.problem, error.at)) from None


read_paths = one_or_more(read_path, "path")


@shaped({"type": ["string", "number", "boolean"], "examples": ["^[0-9a-f]{32}$"]})
def read_pattern(value: Any) -> IdPattern:
    """Return a compiled regular expression."""
    text = scalar(value, "a regular expression")
    try:
        return compile_pattern(text)
    except PatternError as error:
        brief = f"not a regular expression: {error.problem}"
        raise ValidationError(brief if error.at is None else MessageAt(brief, error.at)) from None


@shaped({"type": "string", "examples": ["10.0.0.0/8"]})
def read_network(value: Any) -> IPv4Network | IPv6Network:
    """Return an address or a network."""
    text = scalar(value, "an address or a network, such as 10.0.0.0/8")
    try:
        return ip_network(text)
    except ValueError:
        raise ValidationError(_explain_network(text)) from None


_NETWORK = shape_of(read_network)


@shaped({"anyOf": [_NETWORK, {"type": "array", "items": _NETWORK, "minItems": 1}]})
def read_networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return one network, or a list of them."""
    if value == []:
        raise ValidationError(
            "the list is empty: name at least one network, or leave out this key to allow any address"
        )
    return read_each(value if isinstance(value, list) else [value], read_network)


def _explain_network(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return "expected an address or a network, such as 192.0.2.17, 10.0.0.0/8 or 2001:db8::/32"
    address = text.partition("/")[0]
    return f"{text} has host bits set: write {network} for the network, or {address} for one address"


@shaped({"type": "object", "minProperties": 1, "additionalProperties": _INTEGER, "examples": [{"6": 6, "Resolved": 6}]})
def read_states(value: Any) -> Mapping[str, int]:
    """Return the IEM states (whole numbers) by ITSM state (a number or label, by its `state_key`)."""
    if not isinstance(value, dict) or not value:
        raise ValidationError("expected states, such as `6: 6` and `Resolved: 6`, one per line, indented below")
    states: dict[str, int] = {}
    spellings: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    for text, iem_state in value.items():
        key = state_key(text)
        if key in spellings:
            errors[text] = [f"'{text}' is the same state as '{spellings[key]}': delete one of them"]
            continue
        spellings[key] = text
        try:
            states[key] = read_integer(iem_state)
        except ValidationError:
            errors[text] = [f"{_shown(iem_state)} is not an IEM state: expected a whole number"]
    if errors:
        raise ValidationError(errors)
    return states
