"""Reading the documents at the root of the repository: their sections, tables and code blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its header's cells, and each row's."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def read_text(name: str = "README.md") -> str:
    """Return the text of a document."""
    return (ROOT / name).read_text("utf-8")


def section(title: str, text: str | None = None) -> str:
    """Return what stands below the heading `title`, with its subsections."""
    text = read_text() if text is None else text
    heading = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert heading, f"no heading {title!r}"
    below = text[heading.end() :]
    end = re.search(rf"^#{{1,{len(heading[1])}}} ", below, re.MULTILINE)
    return below[: end.start()] if end else below


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of `text`, in order."""
    return [Block(match[1], match[2]) for match in _FENCE.finditer(text)]


def without_blocks(text: str) -> str:
    """Return the prose of `text`."""
    return _FENCE.sub("", text)


def tables(text: str) -> list[Table]:
    """Return the tables of `text`, in order; a line that begins with `|` is a row of one."""
    found: list[Table] = []
    rows: list[tuple[str, ...]] = []
    for line in [*without_blocks(text).splitlines(), ""]:
        if line.startswith("|"):
            if not _RULE.fullmatch(line):
                rows.append(_cells(line))
        elif rows:
            found.append(Table(rows[0], tuple(rows[1:])))
            rows = []
    return found


def code(cell: str) -> list[str]:
    """Return what stands between backticks in `cell`."""
    return re.findall(r"`([^`]+)`", cell)


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1])
