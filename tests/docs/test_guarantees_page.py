"""Each guarantee of docs/reference/guarantees-and-limits.md names tests that exist, and its limit."""

from __future__ import annotations

import re

import pytest
from docs.markdown import ROOT, code, headings, read_text, section

PAGE = "docs/reference/guarantees-and-limits.md"
GUARANTEES = [title for title in headings(read_text(PAGE)) if re.match(r"\d\. ", title)]


def test_there_are_eight_guarantees() -> None:
    assert [int(title[0]) for title in GUARANTEES] == list(range(1, 9))


@pytest.mark.parametrize("title", GUARANTEES)
def test_a_guarantee_has_its_mechanism_its_limit_and_its_tests(title: str) -> None:
    text = section(title, PAGE)
    tests = code(text.partition("- **Tests:**")[2])

    assert re.findall(r"^- \*\*(\w+):\*\*", text, re.MULTILINE) == ["How", "Limit", "Tests"]
    assert tests
    assert [path for path in tests if not (ROOT / path).exists()] == []
