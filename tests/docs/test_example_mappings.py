"""The example mapping files have no faults once their secrets are set, and explain themselves."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from docs.markdown import ROOT, blocks, section

from relay.cli.main import relay
from relay.cli.mappings import mappings
from relay.core.authentication import BasicAuth, HeaderAuth, HmacAuth
from relay.core.integration import SOURCES
from relay.mapping_files.draft import Draft, write_draft
from relay.mapping_files.folder import read_mapping, read_mappings
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets, load_template

FOLDER = ROOT / "mappings"
EXAMPLES = [FOLDER / f"_{source}.example.yaml" for source in SOURCES]
by_source = pytest.mark.parametrize("path", EXAMPLES, ids=SOURCES)
#: The values in each example, as the answers that `relay mappings new` takes.
DRAFTS = {
    "servicenow": Draft(
        "acme",
        "servicenow",
        "ACME",
        "42",
        "https://iem.example.com",
        "relay-api@example.com",
        "basic",
        "ACME production",
    ),
    "service-exchange": Draft(
        "globex",
        "service-exchange",
        "GLOBEX",
        "7",
        "https://iem.example.com",
        "relay-api@example.com",
        "header",
        "Globex production",
    ),
}
#: What the field mapping sheet decides: placeholders in a new file.
FROM_THE_SHEET = ("records", "fields", "sys_id_pattern", "states", "unlisted_states", "tests")


def comment_free(line: str) -> str:
    """Return a line without the mark CHANGE, and with one space where comments are aligned."""
    return re.sub(r" +# ?", " # ", line.replace("# CHANGE. ", "# ").replace("# CHANGE", "")).strip().removesuffix(" #")


def parts_of(text: str) -> dict[str, list[str]]:
    """Return the lines of each top-level key, the comment above it included, by key."""
    body = text[text.index("\nsource:") :]
    parts = re.split(r"\n\n(?=#|\w)", body)
    keyed = {found[1]: part for part in parts if (found := re.search(r"^(\w+):", part, re.MULTILINE))}
    return {key: [comment_free(line) for line in part.splitlines()] for key, part in keyed.items()}


def secrets_of(path: Path) -> dict[str, str]:
    """Return a value for each environment variable that the file names, outside its comments."""
    lines = [line.partition("#")[0] for line in path.read_text("utf-8").splitlines()]
    return {name: "a secret" for line in lines for name in re.findall(r"\{env: (\w+)\}", line)}


@by_source
def test_an_example_checks_clean_when_its_variables_are_set(path: Path) -> None:
    result = CliRunner().invoke(mappings, ["check", str(path)], env=secrets_of(path))

    assert result.exit_code == 0, result.output
    assert "tests passed" in result.output


@by_source
def test_an_example_names_each_missing_variable(path: Path) -> None:
    missing = secrets_of(path)

    result = CliRunner().invoke(mappings, ["check", str(path)], env=dict.fromkeys(missing))

    assert result.exit_code == 78
    assert [name for name in missing if name not in result.output] == []


@by_source
def test_an_example_begins_with_what_it_is_and_how_to_use_it(path: Path) -> None:
    text = path.read_text("utf-8")
    head = text[: text.index("\nsource:")]

    assert text.splitlines()[1].startswith("# An example mapping file for ")
    assert "To use it:" in head
    assert "relay mappings check" in head
    assert all(name in head for name in secrets_of(path))


@by_source
def test_an_example_shows_a_resolved_an_ignored_and_a_rejected_record(path: Path) -> None:
    integration = read_mapping(path).integration

    assert integration is not None
    assert any(test.expect.state is not None for test in integration.tests)
    assert any(test.expect.ignored for test in integration.tests)
    assert any(test.expect.rejected for test in integration.tests)


@by_source
def test_an_example_is_of_the_source_that_it_is_named_after(path: Path) -> None:
    integration = read_mapping(path).integration

    assert integration is not None
    assert integration.source == path.name.removeprefix("_").removesuffix(".example.yaml")


def test_examples_are_not_loaded() -> None:
    assert read_mappings(FOLDER) == []


def test_the_other_methods_in_the_servicenow_example_work_without_their_comment_signs() -> None:
    text = EXAMPLES[0].read_text("utf-8")
    switched_on, count = re.subn(
        r"^( *)# (- type:|  header:|  secret:|  value:|allow_from:)", r"\1\2", text, flags=re.MULTILINE
    )

    parsed = parse_mapping_file("example", switched_on, load_presets())

    assert count == 7
    assert parsed.integration is not None, parsed.faults
    assert [type(one) for one in parsed.integration.authentications] == [BasicAuth, HmacAuth, HeaderAuth]
    assert parsed.integration.allow_from


@by_source
def test_a_new_mapping_file_is_written_in_the_words_of_the_example(path: Path) -> None:
    source = path.name.removeprefix("_").removesuffix(".example.yaml")
    example = parts_of(path.read_text("utf-8"))

    written = parts_of(write_draft(DRAFTS[source], load_template))

    own = FROM_THE_SHEET if source == "service-exchange" else ()
    assert {"source", "auth", "iem", "tests"} <= written.keys()
    for key in written.keys() - set(own):
        assert [line for line in written[key] if line not in example[key]] == []


@pytest.mark.parametrize(
    ("title", "page", "name"),
    [
        ("Your first integration", "README.md", "acme"),
        ("1. Write the mapping file", "docs/getting-started/first-servicenow-integration.md", "acme"),
        ("1. Write the mapping file", "docs/getting-started/first-service-exchange-integration.md", "globex"),
    ],
)
def test_the_command_on_the_page_writes_a_good_file(tmp_path: Path, title: str, page: str, name: str) -> None:
    (block,) = (block.text for block in blocks(section(title, page)) if block.language == "sh")
    lines = block.replace("\\\n", "").splitlines()
    (command,) = (line for line in lines if line.startswith("relay mappings new "))
    _, *arguments = shlex.split(command, comments=True)

    result = CliRunner().invoke(relay, arguments, env={"RELAY_MAPPINGS": str(tmp_path)})

    assert result.exit_code == 0, result.output
    assert read_mapping(tmp_path / f"{name}.yaml").faults == ()
