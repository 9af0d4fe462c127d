"""The table of docs/reference/hostile-input.md: its test files exist and run as many cases as it says."""

from __future__ import annotations

import ast
import re

import pytest
from docs.markdown import ROOT, code, read_text, section, tables

PAGE = "docs/reference/hostile-input.md"

#: Cases of a property that sets no number (hypothesis).
_DEFAULT_EXAMPLES = 100
_BY_HAND = "by hand"
_CASES = re.compile(r"([\d,]+); ([\d,]+)")


def rows() -> list[tuple[list[str], str]]:
    """Return the test files of each row, and its cases."""
    (table,) = tables(read_text(PAGE))
    assert table.header == ("input", "cases", "result")
    return [([path for path in code(row[0]) if path.endswith(".py")], row[1]) for row in table.rows]


def cases_of(path: str) -> list[int]:
    """Return the number of examples of each property in a test file."""
    module = ast.parse(read_text(path))
    named = {ast.unparse(node.targets[0]): node.value for node in module.body if isinstance(node, ast.Assign)}
    return [
        _examples([named.get(ast.unparse(decorator), decorator) for decorator in function.decorator_list])
        for function in module.body
        if isinstance(function, ast.FunctionDef)
        and any(_name(decorator) == "given" for decorator in function.decorator_list)
    ]


def _name(node: ast.expr) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _examples(decorators: list[ast.expr]) -> int:
    given = [
        int(ast.literal_eval(keyword.value.args[0]))
        for decorator in decorators
        if isinstance(decorator, ast.Call) and _name(decorator) == "settings"
        for keyword in decorator.keywords
        if keyword.arg == "max_examples" and isinstance(keyword.value, ast.Call)
    ]
    return given[0] if given else _DEFAULT_EXAMPLES


def deep_examples() -> int:
    """Return the number of examples of each property in the deep run."""
    found = re.search(r"RELAY_PROPERTY_EXAMPLES=(\d+)", section("Deep runs", "docs/development/testing.md"))
    assert found
    return int(found[1])


@pytest.mark.parametrize(("files", "cases"), rows(), ids=lambda value: str(value)[:40])
def test_the_files_of_a_row_run_as_many_cases_as_it_says(files: list[str], cases: str) -> None:
    assert files
    assert [path for path in files if not (ROOT / path).exists()] == []
    documented = _CASES.fullmatch(cases)
    if documented is None:
        assert _BY_HAND in cases or "schemathesis" in cases
        assert "schemathesis" not in cases or all("schemathesis" in read_text(path) for path in files)
        return
    counted = {path: cases_of(path) for path in files}
    assert all(counted.values()), counted
    examples = [number for numbers in counted.values() for number in numbers]
    assert [int(number.replace(",", "")) for number in documented.groups()] == [
        sum(examples),
        sum(max(number, deep_examples()) for number in examples),
    ]


def test_every_file_with_hostile_properties_has_its_row() -> None:
    named = {path for files, _ in rows() for path in files}
    written = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_hostile_*.py")}

    assert {path for path in written if "@given" in read_text(path)} <= named
