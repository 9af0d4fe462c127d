"""The README's table of hostile input: its files are there, are tested as it says, and with as many cases."""

from __future__ import annotations

import ast
import re

import pytest
from docs.markdown import ROOT, code, read_text, section, tables

#: What hypothesis tries of a property that says nothing of it.
_USUAL = 100
_BY_HAND = "by hand"
_CASES = re.compile(r"([\d,]+); ([\d,]+)")


def rows() -> list[tuple[list[str], str]]:
    """Return the test files of each row, and its cases."""
    (table,) = tables(section("Hostile input"))
    assert table.header == ("what is tried", "cases", "what came out")
    return [([one for one in code(row[0]) if one.endswith(".py")], row[1]) for row in table.rows]


def cases_of(path: str) -> list[int]:
    """Return how many examples each property of a test file is tried with."""
    module = ast.parse(read_text(path))
    kept = {ast.unparse(one.targets[0]): one.value for one in module.body if isinstance(one, ast.Assign)}
    return [
        _examples([kept.get(ast.unparse(one), one) for one in function.decorator_list])
        for function in module.body
        if isinstance(function, ast.FunctionDef) and any(_name(one) == "given" for one in function.decorator_list)
    ]


def _name(node: ast.expr) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _examples(decorators: list[ast.expr]) -> int:
    told = [
        int(ast.literal_eval(keyword.value.args[0]))
        for one in decorators
        if isinstance(one, ast.Call) and _name(one) == "settings"
        for keyword in one.keywords
        if keyword.arg == "max_examples" and isinstance(keyword.value, ast.Call)
    ]
    return told[0] if told else _USUAL


def deep() -> int:
    """Return how many examples CONTRIBUTING tries each property with."""
    found = re.search(r"RELAY_PROPERTY_EXAMPLES=(\d+)", read_text("CONTRIBUTING.md"))
    assert found
    return int(found[1])


@pytest.mark.parametrize(("files", "cases"), rows(), ids=lambda value: str(value)[:40])
def test_the_files_of_a_row_are_tried_with_as_many_cases_as_it_says(files: list[str], cases: str) -> None:
    assert files
    assert [path for path in files if not (ROOT / path).exists()] == []
    told = _CASES.fullmatch(cases)
    if told is None:
        assert _BY_HAND in cases or "schemathesis" in cases
        assert "schemathesis" not in cases or all("schemathesis" in read_text(path) for path in files)
        return
    counted = {path: cases_of(path) for path in files}
    assert all(counted.values()), counted
    usual = [number for numbers in counted.values() for number in numbers]
    assert [int(one.replace(",", "")) for one in told.groups()] == [
        sum(usual),
        sum(max(number, deep()) for number in usual),
    ]


def test_every_file_with_hostile_properties_has_its_row() -> None:
    named = {path for files, _ in rows() for path in files}
    written = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_hostile_*.py")}

    assert {path for path in written if "@given" in read_text(path)} <= named
