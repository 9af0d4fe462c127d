"""Explains why a text is not valid YAML, and where.

PyYAML's messages quote the text, which can be a password. These messages contain no part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from relay.mapping_files.positions import Position, position_of

#: The maximum number of nested blocks and lists.
MAX_DEPTH = 50
TOO_DEEP = f"too deep: more than {MAX_DEPTH} nested blocks and lists"

_NO_CHARACTER = re.compile(r"\\U(?!000|0010)[0-9A-Fa-f]{8}")
_UNREADABLE = "not valid YAML: check the indentation, and quote values with special characters"
_NO_COLON = "a colon and a space are missing here (key: value), or quotes around a value"
_DIRECTIVE = "a line that begins with % is a YAML directive, and this one is unknown: delete it, or use quotes"
_MARK = "text that begins with & or * must be quoted: & names a value, and * repeats a named value"
_TAG = "text that begins with ! must be quoted: ! begins the name of a type"
_INDENTATION = (
    "the indentation does not match the lines above: begin in the same column as the other keys of this block"
)
_AFTER_VALUE = "unexpected text after the end of a value: put the whole value in one pair of quotes"

#: Part of PyYAML's context and problem -> the relay's message. The first match applies.
_MESSAGES = (
    (r"'\\t'", "tabs cannot be used here: indent with spaces"),
    ("could not find expected ':'", _NO_COLON),
    (
        "mapping values are not allowed",
        "this colon does not follow a key: check the indentation, or quote the value",
    ),
    ("another document", "a second document begins here ('---'): a mapping file is one document"),
    ("sequence entries are not allowed", "a list (- …) cannot begin here: begin it on a line of its own"),
    ("mapping keys are not allowed", "a question mark begins a key, which is not allowed here: quote the value"),
    ("directive|incompatible YAML document|duplicate tag handle", _DIRECTIVE),
    (
        "undefined alias",
        "text that begins with * must be quoted: * repeats a value that is named with &, and there is no such name",
    ),
    ("duplicate anchor", "text that begins with & must be quoted: & names a value, and this name is already used"),
    ("scanning an (alias|anchor)", _MARK),
    ("a tag|tag handle", _TAG),
    ("a block scalar", "text that begins with | or > must be quoted, or begin on the line below that character"),
    ("unknown escape character", r"unknown escape sequence: in double quotes write \\ for \, or use single quotes"),
    ("escape sequence of", r"\x, \u and \U need 2, 4 or 8 hexadecimal digits: write \\ for \, or use single quotes"),
    ("cannot start any token", "a value cannot begin with this character: quote the value"),
    ("block end>, but found '<scalar>'", _AFTER_VALUE),
    ("block end>, but found '(<block|-|\\?)", _INDENTATION),
    ("block end>", "unexpected text: quote the value, or check the indentation"),
    ("expected the node content", "a value is missing here: quote text that begins with a special character"),
    ("document start>", "unexpected text: is a quote or bracket closed too early, or this line indented?"),
)
#: Errors that can be caused by a value further up that has more lines than intended.
_FROM_LONG_VALUE = re.compile("could not find expected ':'|mapping values are|but found '<scalar>'|expected ',' or")


@dataclass(frozen=True, slots=True)
class YamlError:
    """An error in a YAML text, with its position."""

    position: Position
    message: str


def explain(text: str, error: Exception) -> YamlError:
    """Return the explanation of `error`, which PyYAML raised for `text`: one of its own errors, or one of Python's."""
    match error:
        case yaml.MarkedYAMLError():
            return _explain_marked(text, error)
        case yaml.reader.ReaderError(character=int(character)):
            message = f"the character U+{character:04X} is not allowed in YAML: delete it"
            return YamlError(position_of(text, error.position), message)
        case RecursionError():
            return _explain_depth(text)
        case _:
            found = _NO_CHARACTER.search(text)
            message = r"no character has this number: \U goes up to 0010FFFF" if found else _UNREADABLE
            return YamlError(position_of(text, found.start() if found else 0), message)


def _explain_marked(text: str, error: yaml.MarkedYAMLError) -> YamlError:
    description = f"{error.context} {error.problem}"
    mark, context = error.problem_mark or error.context_mark, error.context_mark
    if mark is None:
        return YamlError(Position(1, 1), _UNREADABLE)
    if context and "could not find expected ':'" in description:
        mark = context  # where the key begins; PyYAML marks the place where the next one ends
    if _FROM_LONG_VALUE.search(description) and (value := _long_value(text, mark)):
        return value
    if context and "quoted scalar" in description and "unexpected" in description:
        return _at(context, "this quote is not closed")
    if context and (closing := re.search("expected ',' or '(.)'", description)):
        return _explain_bracket(closing[1], context, mark)
    message = next((message for pattern, message in _MESSAGES if re.search(pattern, description)), _UNREADABLE)
    return _at(mark, message)


def _explain_bracket(closing: str, opened: yaml.Mark, mark: yaml.Mark) -> YamlError:
    if opened.line == mark.line:
        return _at(mark, f"a comma or {closing} is missing before this, or quotes around the value")
    opening = {"]": "[", "}": "{"}[closing]
    return _at(opened, f"this {opening} is not closed: {closing} is missing")


def _long_value(text: str, mark: yaml.Mark) -> YamlError | None:
    """Return the error for a value of several lines that ends just before `mark`: probably it was meant to be shorter."""
    long = None
    for token in _tokens(text[: mark.index]):
        if isinstance(token, yaml.ScalarToken) and token.style not in {"|", ">"}:
            long = token if token.start_mark.line < token.end_mark.line else None
    if long is None or mark.line - long.end_mark.line > 1:
        return None
    if long.style is None:
        before = text[long.start_mark.index - long.start_mark.column : long.start_mark.index]
        return None if before.strip(" -") else _at(long.start_mark, _NO_COLON)
    return _at(long.start_mark, f"this quote is closed only on line {long.end_mark.line + 1}: is a quote missing here?")


def _explain_depth(text: str) -> YamlError:
    depth = 0
    for token in _tokens(text):
        match token:
            case (
                yaml.BlockSequenceStartToken()
                | yaml.BlockMappingStartToken()
                | yaml.FlowSequenceStartToken()
                | yaml.FlowMappingStartToken()
            ):
                depth += 1
            case yaml.BlockEndToken() | yaml.FlowSequenceEndToken() | yaml.FlowMappingEndToken():
                depth -= 1
            case _:
                continue
        if depth > MAX_DEPTH:
            return _at(token.start_mark, TOO_DEEP)
    return YamlError(Position(1, 1), TOO_DEEP)


def _tokens(text: str) -> Iterator[yaml.Token]:
    """Yield the tokens of `text`, up to the first place that cannot be read."""
    try:
        yield from yaml.scan(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError):
        return


def _at(mark: yaml.Mark, message: str) -> YamlError:
    return YamlError(Position(mark.line + 1, mark.column + 1), message)
