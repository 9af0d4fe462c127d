"""Why a text is no YAML, in our own words and at the place where it is to be mended.

PyYAML's own messages quote the text, which may be a password: nothing of the text is in ours.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import yaml

#: Keys and lists inside each other.
MOST_DEPTH = 50
TOO_DEEP = f"too deep: more than {MOST_DEPTH} keys and lists inside each other"

_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_NO_CHARACTER = re.compile(r"\\U(?!000|0010)[0-9A-Fa-f]{8}")
_UNREADABLE = "this cannot be read as YAML: check the indentation, and put values with signs in them in quotes"
_NO_COLON = "a colon with a space after it is missing here (key: value), or quotes around a value"
_DIRECTIVE = "a line that begins with % is for YAML itself, and says nothing that is known: delete it, or use quotes"
_MARK = "text that begins with & or * must stand in quotes: it would mark a value, or repeat a marked one"
_TAG = "text that begins with ! must stand in quotes: it would tell a type"
_INDENTATION = "the indentation does not fit the lines above: begin where the other keys of this block begin"
_BESIDE = "something stands behind a value that has ended: put all of the value in one pair of quotes"

#: What PyYAML complains of (a part of its context and problem), and what we say instead.
_SENTENCES = (
    (r"'\\t'", "a tab stands where YAML wants spaces: indent with spaces"),
    ("could not find expected ':'", _NO_COLON),
    (
        "mapping values are not allowed",
        "a colon where no key can stand: check the indentation, or put the value in quotes",
    ),
    ("another document", "a second document begins here ('---'): one file holds one mapping"),
    ("sequence entries are not allowed", "a list (- …) cannot begin here: begin it in a line of its own"),
    ("mapping keys are not allowed", "a question mark begins a key, which cannot stand here: put the value in quotes"),
    ("directive|incompatible YAML document|duplicate tag handle", _DIRECTIVE),
    (
        "undefined alias",
        "text that begins with * must stand in quotes: it would repeat a value marked with &, and none is",
    ),
    ("duplicate anchor", "text that begins with & must stand in quotes: it would mark a value, and two have this mark"),
    ("scanning an (alias|anchor)", _MARK),
    ("a tag|tag handle", _TAG),
    ("a block scalar", "text that begins with | or > must stand in quotes, or in the lines below that sign"),
    ("unknown escape character", r"no escape begins like this: in double quotes write \\ for \, or use single quotes"),
    ("escape sequence of", r"\x, \u and \U want 2, 4 or 8 hexadecimal digits: write \\ for \, or use single quotes"),
    ("cannot start any token", "no value can begin with this sign: put the value in quotes"),
    ("block end>, but found '<scalar>'", _BESIDE),
    ("block end>, but found '(<block|-|\\?)", _INDENTATION),
    ("block end>", "this does not belong here: put the value in quotes, or check the indentation"),
    ("expected the node content", "a value was expected here: put text that begins with a sign in quotes"),
    ("document start>", "nothing can follow here: is a quote or a bracket closed too early, or this line indented?"),
)
#: Complaints that a value further up can be the cause of: one of more lines than it was meant to have.
_BY_VALUE = re.compile("could not find expected ':'|mapping values are|but found '<scalar>'|expected ',' or")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, and where (both 1-based)."""

    line: int
    column: int
    message: str


def explain(text: str, error: Exception) -> Complaint:
    """Return what is wrong with `text`, on which PyYAML raised `error`: its own errors, or those that it lets through."""
    match error:
        case yaml.MarkedYAMLError():
            return _explain_marked(text, error)
        case yaml.reader.ReaderError(character=int(character)):
            return Complaint(
                *place_of(text, error.position), f"the character U+{character:04X} cannot stand in YAML: delete it"
            )
        case RecursionError():
            return _explain_depth(text)
        case _:
            found = _NO_CHARACTER.search(text)
            message = r"no character has this number: \U goes up to 0010FFFF" if found else _UNREADABLE
            return Complaint(*place_of(text, found.start() if found else 0), message)


def place_of(text: str, index: int) -> tuple[int, int]:
    """Return the line and the column (1-based) of the character at `index`."""
    lines = _lines(text)
    line = bisect_right(lines, index)
    return line, index - lines[line - 1] + 1


@lru_cache(maxsize=4)  # a text has thousands of faults, at worst
def _lines(text: str) -> list[int]:
    """Return where each line begins."""
    return [0, *(found.end() for found in _BREAK.finditer(text))]


def _explain_marked(text: str, error: yaml.MarkedYAMLError) -> Complaint:
    told = f"{error.context} {error.problem}"
    mark, context = error.problem_mark or error.context_mark, error.context_mark
    if mark is None:
        return Complaint(1, 1, _UNREADABLE)
    if context and "could not find expected ':'" in told:
        mark = context  # where the key begins; the problem is told where the next one ends
    if _BY_VALUE.search(told) and (value := _long_value(text, mark)):
        return value
    if context and "quoted scalar" in told and "unexpected" in told:
        return _at(context, "this quote is not closed")
    if context and (closing := re.search("expected ',' or '(.)'", told)):
        return _explain_bracket(closing[1], context, mark)
    message = next((sentence for pattern, sentence in _SENTENCES if re.search(pattern, told)), _UNREADABLE)
    return _at(mark, message)


def _explain_bracket(closing: str, opened: yaml.Mark, mark: yaml.Mark) -> Complaint:
    if opened.line == mark.line:
        return _at(mark, f"a comma or {closing} is missing before this; or put the value in quotes")
    opening = {"]": "[", "}": "{"}[closing]
    return _at(opened, f"this {opening} is not closed: {closing} is missing")


def _long_value(text: str, mark: yaml.Mark) -> Complaint | None:
    """Return the value of several lines that ends just before `mark`, if there is one: it was not meant to have them."""
    long = None
    for token in _tokens(text[: mark.index]):
        if isinstance(token, yaml.ScalarToken) and token.style not in {"|", ">"}:
            long = token if token.start_mark.line < token.end_mark.line else None
    if long is None or mark.line - long.end_mark.line > 1:
        return None
    if long.style is None:
        before = text[long.start_mark.index - long.start_mark.column : long.start_mark.index]
        return None if before.strip(" -") else _at(long.start_mark, _NO_COLON)
    return _at(long.start_mark, f"this quote is closed only in line {long.end_mark.line + 1}: is one missing here?")


def _explain_depth(text: str) -> Complaint:
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
        if depth > MOST_DEPTH:
            return _at(token.start_mark, TOO_DEEP)
    return Complaint(1, 1, TOO_DEEP)


def _tokens(text: str) -> Iterator[yaml.Token]:
    """Yield the text's tokens, up to the first place where there are none."""
    try:
        yield from yaml.scan(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError):
        return


def _at(mark: yaml.Mark, message: str) -> Complaint:
    return Complaint(mark.line + 1, mark.column + 1, message)
