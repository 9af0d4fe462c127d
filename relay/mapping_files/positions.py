"""Lines and columns in a YAML text, and the place of one character of a scalar: YAML folds lines, strips indentation and doubles
quotes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_BLANKS = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A line and a column, both from 1."""

    line: int
    column: int


def position_of(text: str, index: int) -> Position:
    """Return the position of the character at `index`."""
    starts = _line_starts(text)
    line = bisect_right(starts, index)
    return Position(line, index - starts[line - 1] + 1)


@lru_cache(maxsize=4)  # a text can have thousands of faults
def _line_starts(text: str) -> list[int]:
    return [0, *(found.end() for found in _LINE_BREAK.finditer(text))]


def align_offset(source: str, style: str | None, value: str, offset: int) -> int | None:
    """Return the index in `source` of the character at `offset` of `value`; None if it cannot be determined.

    `source` is the scalar's text in the file, with its quotes or its `|`; `value` is what YAML reads.
    """
    at, done = _first_character(source, style, value), 0
    while done < offset:
        blanks, value_blanks = _BLANKS.match(source, at), _BLANKS.match(value, done)
        assert blanks
        assert value_blanks
        if value_blanks.end() > done and blanks.end() > at:
            if value_blanks.end() > offset:  # in the middle of several blanks
                return at + offset - done if blanks[0] == value_blanks[0] else at
            at, done = blanks.end(), value_blanks.end()
        elif at < len(source) and source[at] == value[done] and (source[at] != "\\" or style != '"'):
            at += 2 if style == "'" and source[at] == "'" else 1
            done += 1
        else:
            return None  # an escape sequence
    return at


def _first_character(source: str, style: str | None, value: str) -> int:
    if style not in {"|", ">"}:
        return 1 if style else 0
    header, line_break, _ = source.partition("\n")
    start = len(header) + len(line_break)
    blanks = _BLANKS.match(source, start)
    return blanks.end() if blanks and value[:1].strip() else start
