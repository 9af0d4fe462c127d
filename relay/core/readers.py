"""What one value of a mapping file may be: a function for each kind, from what `document` read to what the relay uses.

Each raises marshmallow's ValidationError with a sentence that says what to write instead. `Read` makes a field of one.
What a reader takes stands beside it once more as a JSON Schema (`shaped`), for editors: they check while people type.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields

from relay.core.id_pattern import IdPattern, PatternError, compile_pattern
from relay.core.integration import Env, File, Plain, Secret, Text
from relay.core.paths import FieldPath, PathError, compile_path
from relay.core.units import DURATION, parse_duration
from relay.core.values import state_key

T = TypeVar("T")
_Reader = TypeVar("_Reader", bound=Callable[[Any], Any])
#: A JSON Schema of one value; a marshmallow schema in it stands for that schema's own shape.
Shape = Mapping[str, Any]
_SHAPES: dict[Callable[[Any], Any], Shape] = {}
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEYS = ("env", "file")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: How a message about an unknown key begins: it belongs to the key, not to its value.
UNKNOWN = "unknown key"


def shaped(shape: Shape) -> Callable[[_Reader], _Reader]:
    """Note what a reader takes. `shape` may hold `examples`, and a `description` that goes behind the key's own."""

    def note(read: _Reader) -> _Reader:
        _SHAPES[read] = shape
        return read

    return note


def shape_of(read: Callable[[Any], Any]) -> Shape:
    """Return what `read` takes; KeyError where nobody noted it."""
    return _SHAPES[read]


class Pointed(str):
    """A message about one place inside a value: `brief` and `at`, or as a whole with the value and a caret below it."""

    __slots__ = ("at", "brief")
    brief: str
    at: int

    def __new__(cls, brief: str, value: str, at: int) -> Self:
        """`at`: the character of `value`, from 0."""
        self = super().__new__(cls, f"{brief}\n  {value}\n  {' ' * at}^")
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
    """Return what `read` makes of each of `values`; the errors of all of them are raised together."""
    found, errors = [], {}
    for index, value in enumerate(values):
        try:
            found.append(read(value))
        except ValidationError as error:
            errors[index] = error.messages
    if errors:
        raise ValidationError(errors)
    return tuple(found)


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


def _scalar(value: Any, expected: str) -> str:
    if isinstance(value, str):
        return value
    raise ValidationError(f"expected {expected}")


def is_env_name(text: str) -> bool:
    """Tell whether `text` can be the name of an environment variable."""
    return _ENV_NAME.fullmatch(text) is not None


@shaped({"type": ["string", "number", "boolean"], "pattern": r"\S"})
def read_text(value: Any) -> str:
    """Return text that is not blank."""
    text = _scalar(value, "text")
    if not text.strip():
        raise ValidationError("expected text, found nothing")
    return text


def choice(*choices: str) -> Callable[[Any], str]:
    """Return a reader of one of a few words."""
    expected = f"one of {', '.join(choices)}"

    @shaped({"enum": [*choices], "examples": [*choices]})
    def read(value: Any) -> str:
        text = _scalar(value, expected)
        if text not in choices:
            near = difflib.get_close_matches(text, choices, n=1)
            raise ValidationError(f"'{text}' is not {expected}" + (f"; did you mean '{near[0]}'?" if near else ""))
        return text

    return read


@shaped({"enum": [True, False, "yes", "no", "on", "off"], "examples": [True, False]})
def read_boolean(value: Any) -> bool:
    """Return `true` or `false`, in any of YAML's spellings."""
    text = _scalar(value, "true or false").lower()
    if text not in {"true", "false", "yes", "no", "on", "off"}:
        raise ValidationError(f"'{text}' is neither true nor false")
    return text in {"true", "yes", "on"}


_WHOLE = {"type": ["integer", "string"], "pattern": r"^[+-]?[0-9]{1,15}$"}


@shaped(_WHOLE)
def read_integer(value: Any) -> int:
    """Return a whole number."""
    text = _scalar(value, "a whole number")
    if not re.fullmatch(r"[+-]?\d{1,15}", text):
        raise ValidationError(f"'{text}' is not a whole number")
    return int(text)


def integer(least: int, most: int) -> Callable[[Any], int]:
    """Return a reader of a whole number within bounds."""

    @shaped({**_WHOLE, "minimum": least, "maximum": most})
    def read(value: Any) -> int:
        number = read_integer(value)
        if not least <= number <= most:
            raise ValidationError(f"{number} is out of bounds: {least} to {most}")
        return number

    return read


def duration(least: str, most: str) -> Callable[[Any], float]:
    """Return a reader of seconds, written as `30s`, `10m`, `24h` or `30d`, within bounds."""

    @shaped({"type": "string", "pattern": f"^{DURATION}$", "description": f"{least} to {most}"})
    def read(value: Any) -> float:
        text = _scalar(value, "a duration, such as 30s or 24h")
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        if not parse_duration(least) <= seconds <= parse_duration(most):
            raise ValidationError(f"{text} is out of bounds: {least} to {most}")
        return seconds

    return read


@shaped({"type": "string", "minLength": 1})
def read_path(value: Any) -> FieldPath:
    """Return a compiled JMESPath expression."""
    expression = _scalar(value, "a JMESPath expression")
    try:
        return compile_path(expression)
    except PathError as error:
        raise ValidationError(Pointed(error.problem, expression, error.at)) from None


@shaped({"type": ["string", "number", "boolean"], "examples": ["^[0-9a-f]{32}$"]})
def read_pattern(value: Any) -> IdPattern:
    """Return a compiled regular expression."""
    text = _scalar(value, "a regular expression")
    try:
        return compile_pattern(text)
    except PatternError as error:
        brief = f"not a regular expression: {error.problem}"
        raise ValidationError(brief if error.at is None else Pointed(brief, text, error.at)) from None


def explain_unknown(key: str, known: Collection[str]) -> str:
    """Return what is wrong with `key`: the known key that it was meant to be, or all of them."""
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(sorted(known))}"
    return f"{UNKNOWN} '{key}'; {hint}"


def _reference(key: str, shape: Shape, example: str) -> Shape:
    properties = {key: {"description": f"where it stands: {example}", "examples": [example], **shape}}
    return {"type": "object", "properties": properties, "required": [key], "additionalProperties": False}


_REFERENCES = [
    _reference("env", {"type": "string", "pattern": f"^{_ENV_NAME.pattern}$"}, "ACME_PASSWORD"),
    _reference("file", {"type": "string", "minLength": 1}, "/run/secrets/acme"),
]


@shaped({"anyOf": _REFERENCES, "examples": [{"env": "ACME_PASSWORD"}, {"file": "/run/secrets/acme"}]})
def read_secret(value: Any) -> Secret:
    """Return where a secret stands: `{env: NAME}` or `{file: PATH}`; never the secret itself."""
    if isinstance(value, dict) and (misspelt := _misspelt(value)):
        raise ValidationError({key: [explain_unknown(key, _SECRET_KEYS)] for key in misspelt})
    match value:
        case {"env": str(name), **rest} if not rest:
            if not is_env_name(name):
                raise ValidationError("not the name of an environment variable: letters, digits and _")
            return Env(name)
        case {"file": str(path), **rest} if not rest and path:
            return File(path)
        case dict() | list() | None:
            raise ValidationError("expected a secret: {env: NAME} or {file: PATH}")
        case _:
            raise ValidationError("a secret must not stand in this file: write {env: NAME} or {file: PATH} instead")


def _misspelt(secret: dict[str, Any]) -> list[str]:
    """Return the keys that were meant to be others. The rest is not told: `{s3cret}` is a key too."""
    return [key for key in secret if key not in _SECRET_KEYS and difflib.get_close_matches(key, _SECRET_KEYS)]


@shaped({"anyOf": [_SHAPES[read_text], *_REFERENCES]})
def read_setting(value: Any) -> Text:
    """Return text, or where it stands."""
    return read_secret(value) if isinstance(value, dict) else Plain(read_text(value))


_LOOPBACK_PATTERN = "|".join(re.escape(f"[{host}]" if ":" in host else host) for host in sorted(_LOOPBACK))
_URL_PATTERN = f"^([Hh][Tt][Tt][Pp][Ss]://[^/@?#]|[Hh][Tt][Tt][Pp]://({_LOOPBACK_PATTERN})(:|/|$))[^@?#]*$"


@shaped({"anyOf": [{"type": "string", "pattern": _URL_PATTERN}, *_REFERENCES]})
def read_url(value: Any) -> Text:
    """Return a base URL that `check_url` finds good, or where it stands."""
    url = read_setting(value)
    if isinstance(url, Plain) and (fault := check_url(url.text)):
        raise ValidationError(fault)
    return url


def check_url(url: str) -> str | None:
    """Return what is wrong with a base URL that credentials are sent to, or None."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"not a URL: {error}"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "expected a URL such as https://iem.example.com"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "a base URL has no user, query or fragment"
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        return "http would send credentials in the clear: only https, but for a loopback host"
    return None


@shaped({"type": "string", "examples": ["10.0.0.0/8"]})
def read_network(value: Any) -> IPv4Network | IPv6Network:
    """Return an address or a network."""
    text = _scalar(value, "an address or a network, such as 10.0.0.0/8")
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValidationError(f"not an address or a network: {error}") from None


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
            shown = f"'{iem_state}'" if isinstance(iem_state, str) else "this"
            errors[text] = [f"{shown} is not an IEM state: expected a whole number"]
    if errors:
        raise ValidationError(errors)
    return states
