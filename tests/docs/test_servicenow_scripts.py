"""The page shows the script that `relay servicenow` prints for the shortest mapping file, and commands that work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from docs.markdown import blocks, read_text
from docs.site_mappings import shortest_file

from relay.cli.main import relay
from relay.cli.servicenow import servicenow

SCRIPTS = "docs/senders/servicenow-scripts.md"
PROBLEM = "tables: {problem: {states: {106: 6, 107: 6}}}\n"


def run(folder: Path, line: str, addition: str = "") -> Result:
    (folder / "acme.yaml").write_text(shortest_file() + addition, "utf-8")
    words = shlex.split(line, comments=True)
    assert words[0] == "relay"
    return CliRunner().invoke(relay, words[1:], env={"RELAY_MAPPINGS": str(folder)})


def commands() -> list[str]:
    found = (block.text for block in blocks(read_text(SCRIPTS)) if block.language == "sh")
    return [line for text in found for line in text.splitlines()]


def test_the_script_is_the_one_that_the_command_prints_with_parts_left_out(tmp_path: Path) -> None:
    (shown,) = (block.text for block in blocks(read_text(SCRIPTS)) if block.language == "javascript")
    printed = iter(run(tmp_path, commands()[0]).stdout.splitlines())

    assert shown.count("…\n") <= 4
    assert [line for line in shown.splitlines() if line.strip() != "…" and line not in printed] == []


@pytest.mark.parametrize("line", commands())
def test_the_commands_work(tmp_path: Path, line: str) -> None:
    result = run(tmp_path, line, PROBLEM)

    assert result.exit_code == 0, result.output
    assert result.stderr == ""


def test_the_page_explains_each_option() -> None:
    options = {name for parameter in servicenow.params for name in parameter.opts if name.startswith("--")}

    assert set(re.findall(r"--[a-z]+", read_text(SCRIPTS))) == options
