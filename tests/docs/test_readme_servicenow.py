"""The README shows the script that `relay servicenow` prints for its shortest mapping, and commands that work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from docs.markdown import blocks, read_text, section
from docs.test_readme_payloads import smallest_mapping

from relay.cli.main import relay

PROBLEM = "tables: {problem: {states: {106: 6, 107: 6}}}\n"


def run(folder: Path, line: str, addition: str = "") -> Result:
    (folder / "acme.yaml").write_text(smallest_mapping() + addition, "utf-8")
    words = shlex.split(line, comments=True)
    assert words[0] == "relay"
    return CliRunner().invoke(relay, words[1:], env={"RELAY_MAPPINGS": str(folder)})


def commands() -> list[str]:
    told = (block.text for block in blocks(section("How ServiceNow posts")) if block.language == "sh")
    return [line for text in told for line in text.splitlines()]


def test_the_script_is_the_one_that_the_command_prints_with_parts_left_out(tmp_path: Path) -> None:
    (shown,) = (block.text for block in blocks(section("How ServiceNow posts")) if block.language == "javascript")
    printed = iter(run(tmp_path, commands()[0]).stdout.splitlines())

    assert shown.count("…\n") <= 4
    assert [line for line in shown.splitlines() if line.strip() != "…" and line not in printed] == []


@pytest.mark.parametrize("line", commands())
def test_the_commands_work(tmp_path: Path, line: str) -> None:
    result = run(tmp_path, line, PROBLEM)

    assert result.exit_code == 0, result.output
    assert result.stderr == ""


def test_the_head_of_the_script_names_what_the_readme_explains(tmp_path: Path) -> None:
    text = section("How ServiceNow posts")

    assert "relay servicenow acme --sweep" in run(tmp_path, commands()[0]).stdout
    assert set(re.findall(r"--[a-z]+", text)) == set(re.findall(r"--[a-z]+", _row()))


def _row() -> str:
    return next(line for line in read_text().splitlines() if line.startswith("| `relay servicenow"))
