"""The layout of `relay/`: packages at the top, files of readable length, names that occur once."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from docs.markdown import ROOT

RELAY = ROOT / "relay"
#: The modules that every process is built on.
TOP = {"clock", "errors", "foundation", "logs", "metrics", "secrets", "settings"}
MAX_LINES = 300
#: `__init__` describes a package, and each process has its own `wiring`.
SHARED_FILE_NAMES = {"__init__.py", "wiring.py"}
#: marshmallow's name for the options of a schema, always within a class.
SHARED_CLASS_NAMES = {"Meta"}
UNSPECIFIC = {"utils", "helpers", "common", "manager", "misc"}


def modules() -> list[Path]:
    return sorted(RELAY.rglob("*.py"))


def classes(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def repeated(names: Iterator[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def test_top_level_modules_are_those_of_every_process() -> None:
    found = {path.stem for path in RELAY.glob("[a-z]*.py")}

    assert found <= TOP


def test_every_package_has_a_sentence_of_purpose() -> None:
    packages = [path for path in RELAY.rglob("__init__.py") if path.parent.name != "new"]

    assert [path for path in packages if not ast.get_docstring(ast.parse(path.read_text("utf-8")))] == []


def test_no_file_has_more_than_300_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in modules()}

    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_a_class_name_occurs_once() -> None:
    names = (name for path in modules() for name in classes(path) if name not in SHARED_CLASS_NAMES)

    assert repeated(names) == []


def test_a_file_name_occurs_once_and_describes_its_content() -> None:
    names = [path.name for path in modules() if path.name not in SHARED_FILE_NAMES]

    assert repeated(iter(names)) == []
    assert {path.stem for path in modules()} & UNSPECIFIC == set()


def test_the_tests_mirror_the_packages() -> None:
    across = {"chaos", "docs", "end_to_end", "house", "measures", "payloads", "simulation"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0].isalpha()}
    packages = {path.parent.name for path in RELAY.glob("*/__init__.py")}

    assert folders - across == packages
