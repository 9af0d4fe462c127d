"""Read the README and the pages of the site: their sections, tables and code blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = "README.md"
#: The pages of the site.
PAGES = tuple(sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")))
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code."""

    language: str
    text: str
    #: The path of the file whose content it is; `Output` for what the commands before it print; empty if it is neither.
    title: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the cells of its header and of each row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def read_text(page: str = README) -> str:
    """Return the text of a page, named by its path in the repository."""
    return (ROOT / page).read_text("utf-8")


def section(title: str, page: str = README) -> str:
    """Return the text below the heading `title` of a page, subsections included."""
    text = read_text(page)
    headings = [heading for heading in _headings(text) if heading[2] == title]
    assert len(headings) == 1, f"{page} has {len(headings)} headings {title!r}"
    level, start = len(headings[0][1]), headings[0].end()
    ends = [heading for heading in _headings(text) if heading.start() > start and len(heading[1]) <= level]
    return text[start : ends[0].start()] if ends else text[start:]


def headings(text: str) -> list[str]:
    """Return the titles of all headings of `text`, in order."""
    return [heading[2] for heading in _headings(text)]


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of `text`, in order."""
    return [Block(match[1], match[3], match[2] or "") for match in _FENCE.finditer(text)]


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
    """Return the texts between backticks in `cell`."""
    return re.findall(r"`([^`]+)`", cell)


def _headings(text: str) -> list[re.Match[str]]:
    """Return the headings of `text`, in order; a comment in a code block is not a heading."""
    fenced = [match.span() for match in _FENCE.finditer(text)]
    return [found for found in _HEADING.finditer(text) if not any(start < found.start() < end for start, end in fenced)]


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1])
