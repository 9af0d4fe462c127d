"""Commands on the pages print what the pages show.

A block titled with a path is written to that file. A block of commands that is followed by one titled `Output` is run, and prints
that; a line that holds only `…` stands for any number of lines. `export` sets a variable for the rest of the page.
`RELAY_WRITE_DOCS=1` writes the outputs again, except those with such a line.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from docs.markdown import PAGES, ROOT, Block, blocks, read_text

from relay.cli.main import relay

OUTPUT = "Output"
PAGES_WITH_OUTPUT = [page for page in PAGES if any(block.title == OUTPUT for block in blocks(read_text(page)))]
IS_WRITTEN = "RELAY_WRITE_DOCS" in os.environ


def commands_of(block: Block) -> Iterator[list[str]]:
    for line in block.text.replace("\\\n", "").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def run(block: Block, environ: dict[str, str]) -> str:
    """Return what the commands of a block print."""
    printed = ""
    for program, *arguments in commands_of(block):
        assert program in {"relay", "export"}, f"{program} is not run here"
        if program == "relay":
            printed += CliRunner(env=environ).invoke(relay, arguments).output
    return printed


def exported(block: Block) -> dict[str, str]:
    """Return the variables that the commands of a block set."""
    settings = (argument for program, *arguments in commands_of(block) if program == "export" for argument in arguments)
    return dict(setting.split("=", 1) for setting in settings)


def matches(shown: str, printed: str) -> bool:
    lines = (r"(.*\n)*?" if line.strip() == "…" else re.escape(f"{line}\n") for line in shown.splitlines())
    return re.fullmatch("".join(lines), printed) is not None


def write(page: str, before: str, after: str) -> None:
    fence = f'```text title="{OUTPUT}"\n'
    (ROOT / page).write_text(read_text(page).replace(f"{fence}{before}```", f"{fence}{after}```", 1), "utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("RELAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mappings").mkdir()
    return tmp_path


def test_there_are_pages_with_output() -> None:
    assert PAGES_WITH_OUTPUT


@pytest.mark.parametrize("page", PAGES_WITH_OUTPUT)
def test_commands_print_what_the_page_shows(page: str, folder: Path) -> None:
    found = blocks(read_text(page))
    environ: dict[str, str] = {}

    for block, following in zip(found, [*found[1:], Block("", "")], strict=True):
        if block.title and block.title != OUTPUT:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text, "utf-8")
        if block.language == "sh":
            environ |= exported(block)
        if block.language == "sh" and following.title == OUTPUT:
            printed = run(block, environ)
            if IS_WRITTEN and not re.search(r"^\s*…$", following.text, re.MULTILINE):
                write(page, following.text, printed)
            elif not matches(following.text, printed):
                assert printed == following.text
