"""The architecture page shows the layers of the import contract, and every file that a page names exists."""

from __future__ import annotations

import re
import tomllib

from docs.markdown import ROOT, blocks, section

PAGE = "docs/development/architecture.md"
#: Named as an example of a file that must not exist.
ABSENT = {"relay/utils.py"}


def test_the_layers_of_the_page_are_those_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")

    shown = blocks(section("Imports", PAGE))[0].text.splitlines()

    assert shown == [layer for layer in layers if layer != "__main__"]


def test_every_package_has_its_row() -> None:
    packages = {f"relay/{path.parent.name}/" for path in (ROOT / "relay").glob("*/__init__.py")}

    rows = set(re.findall(r"^\| `(relay/\w+/)` \|", section("Packages", PAGE), re.MULTILINE))

    assert rows == packages


def test_every_file_of_the_relay_that_a_page_names_exists() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = {path for page in pages for path in re.findall(r"`(relay/[\w./-]+)`", page.read_text("utf-8"))}

    assert {path for path in named - ABSENT if not (ROOT / path).exists()} == set()
