"""Where a character of a scalar stands in the text: YAML folds lines, takes indentation away and doubles quotes."""

from __future__ import annotations

import re

_BLANKS = re.compile(r"[ \t\r\n]*")


def align_offset(written: str, style: str | None, value: str, offset: int) -> int | None:
    """Return which character of `written` is the one at `offset` of `value`; None where that cannot be told.

    `written`: as the scalar stands in the text, quotes or `|` included.
    """
    at, done = _begin(written, style, value), 0
    while done < offset:
        blanks, its_blanks = _BLANKS.match(written, at), _BLANKS.match(value, done)
        assert blanks
        assert its_blanks
        if its_blanks.end() > done and blanks.end() > at:
            if its_blanks.end() > offset:  # in the middle of a run of blanks
                return at + offset - done if blanks[0] == its_blanks[0] else at
            at, done = blanks.end(), its_blanks.end()
        elif at < len(written) and written[at] == value[done] and (written[at] != "\\" or style != '"'):
            at += 2 if style == "'" and written[at] == "'" else 1
            done += 1
        else:
            return None  # an escape
    return at


def _begin(written: str, style: str | None, value: str) -> int:
    if style not in {"|", ">"}:
        return 1 if style else 0
    header, line_break, _ = written.partition("\n")
    begin = len(header) + len(line_break)
    first = _BLANKS.match(written, begin)
    return first.end() if first and value[:1].strip() else begin
