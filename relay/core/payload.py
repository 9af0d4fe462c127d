"""Parses the body of a webhook as strict JSON (RFC 8259), and explains the errors that senders make."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from relay.errors import PayloadError

#: Maximum depth of nested arrays and objects.
MAX_DEPTH = 64

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_UNQUOTED_PLACEHOLDER = re.compile(r"[:\[,]\s*\$\{[^}]*\}")
#: The rest of a truncated body: nothing, or the start of a literal, of a part of a number, or of an escape.
_CUT_OFF = re.compile(r"(?:tr?u?|fa?l?s?|nu?l?|-|\.|[eE][+-]?|u[0-9a-fA-F]{0,4})?\s*\Z")


def parse_body(body: bytes) -> Any:
    """Return the JSON value of `body` (UTF-8, with or without a byte-order mark).

    Raises:
        PayloadError: the body is not UTF-8, not JSON, nested deeper than `MAX_DEPTH`, or contains NaN, Infinity or a duplicate
            key. The message has the line and column, and the cause if it is a known one.
    """
    if not body.strip(b"\xef\xbb\xbf \t\r\n"):
        raise PayloadError("the body is empty: send the record as a JSON object")
    _check_depth(body)
    try:
        payload = _DECODER.decode(body.decode("utf-8-sig"))
        return _replace_lone_surrogates(payload) if _SURROGATE.search(body) else payload
    except UnicodeDecodeError as error:
        at = error.start + len(body) - len(error.object)  # `object` does not contain the byte-order mark
        raise PayloadError(f"the body is not UTF-8: byte {at} is 0x{body[at]:02x}") from None
    except json.JSONDecodeError as error:
        raise PayloadError(f"line {error.lineno} column {error.colno}: {_explain(error)}") from None
    except RecursionError:
        raise PayloadError(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:  # an integer with more digits than Python reads
        raise PayloadError(f"a number is too long: {error}".split(";", 1)[0]) from None


def _replace_lone_surrogates(payload: Any) -> Any:
    """Return `payload` with `?` for every lone surrogate: a resolution must not be lost because an emoji was cut in two."""
    return json.loads(json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace"))


def _check_depth(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _TOKENS.finditer(body):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise PayloadError(f"the body is nested deeper than {MAX_DEPTH} levels")
        elif first in b"]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        repeated = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # add returns None
        raise PayloadError(f"duplicate key {repeated[:64]!r} in one object: send it once")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise PayloadError(f"{name} is not JSON: send a number, or null")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise PayloadError(f"the number {text[:32]} is too large")
    return number


def _explain(error: json.JSONDecodeError) -> str:
    """Return the parser's message, or a clearer one for errors that senders often make."""
    text, at = error.doc, error.pos
    before, here = text[:at].rstrip(), text[at : at + 1]
    if error.msg.startswith("Invalid control character"):
        return f"unescaped control character ({_name(here)}) in a string: build the body with JSON.stringify"
    if error.msg.startswith("Extra data"):
        return "unexpected text after the end of the JSON value: send one JSON value"
    if error.msg.startswith("Unterminated string") or _CUT_OFF.match(text, at):
        return "the body is incomplete (it was cut off, or a quote or bracket is missing)"
    if error.msg.startswith(("Invalid \\escape", "Invalid \\uXXXX")):
        return "invalid escape in a string: write a backslash as \\\\ (build the body with JSON.stringify)"
    if text.startswith("${", at) or _UNQUOTED_PLACEHOLDER.match(text, max(len(before) - 1, 0)):
        return "unsubstituted placeholder ${…}: build the body with JSON.stringify, not with a template"
    if error.msg.startswith("Illegal trailing comma") or (here in "]}" and before.endswith(",")):
        return "trailing comma: no value follows it"
    if here in "]}" and before.endswith(":"):
        return "there is no value after this colon"
    if here == "'":
        return "JSON strings need double quotes, not single quotes"
    return f"invalid JSON: {error.msg[0].lower()}{error.msg[1:]}"


def _name(character: str) -> str:
    return {"\n": "a newline", "\r": "a carriage return", "\t": "a tab"}.get(
        character, f"U+{ord(character or ' '):04X}"
    )


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
