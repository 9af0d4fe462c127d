"""Commands, reasons, statuses, metrics and files: what the README names is there, and what is there is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from docs.markdown import ROOT, blocks, code, section, tables
from prometheus_client import Counter, Histogram

from relay import metrics
from relay.cli.main import relay
from relay.core.integration import OrphanReason
from relay.core.outcomes import Reason
from relay.intake.journal import JournalState
from relay.store.heartbeats import Backlog
from relay.web.metrics_page import _Depths
from relay.web.responses import _TITLES
from relay.web.watch import StoreSnapshot

TWO_COMMANDS = (
    "python3 -m venv .venv && .venv/bin/pip install '.[embedded]' && .venv/bin/relay up --demo",
    ".venv/bin/pip install '.[test]' && .venv/bin/pytest",
)


def commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command, name
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def reasons_of(title: str, column: int) -> set[str]:
    return {reason for table in tables(section(title)) for row in table.rows for reason in code(row[column])}


def test_the_two_commands_stand_there_to_the_letter() -> None:
    assert tuple(block.text.strip() for block in blocks(section("Two commands"))) == TWO_COMMANDS


def test_every_command_is_documented_and_no_other() -> None:
    (table,) = tables(section("Commands"))
    documented = {re.sub(r" (--demo|\[.*)$", "", code(row[0])[0]) for row in table.rows}

    assert documented == {name for name, _ in commands(relay, "relay")}


def test_every_option_that_the_commands_table_names_is_one() -> None:
    (table,) = tables(section("Commands"))
    known = dict(commands(relay, "relay"))

    for row in table.rows:
        line = code(row[0])[0]
        command = known[re.sub(r" (--demo|\[.*)$", "", line)]
        options = {name for parameter in command.params for name in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", f"{line} {row[1]}")) - {"--help"} <= options


def test_every_reason_has_its_row_in_the_table_of_outcomes() -> None:
    assert reasons_of("What IEM's answers lead to", 1) == set(Reason)


def test_every_reason_that_can_park_or_kill_is_in_the_runbook() -> None:
    told = reasons_of("An integration is parked", 0) | reasons_of("Dead letters", 0)

    assert told == set(Reason) | set(OrphanReason)


def test_every_metric_is_documented_and_no_other() -> None:
    table = next(one for one in tables(section("Metrics")) if one.header[0] == "metric")
    look = StoreSnapshot(
        1, youngest_beat=1, backlogs=(Backlog("acme", 1, 1, 1, 1, 1, "down", 1, "down"),), journal=JournalState()
    )
    counted = [one for one in vars(metrics).values() if isinstance(one, Counter | Histogram)]
    exposed = {
        *(f"{one._name}{'_total' if isinstance(one, Counter) else ''}{_labels(one._labelnames)}" for one in counted),
        *(f"{one.name}{_labels(tuple(one.samples[0].labels))}" for one in _Depths(look).collect()),
    }

    assert {code(row[0])[0] for row in table.rows} == exposed


def test_alerts_name_metrics_that_there_are() -> None:
    documented, alerts = tables(section("Metrics"))
    names = {code(row[0])[0].partition("{")[0] for row in documented.rows}

    assert {name for row in alerts.rows for name in re.findall(r"relay_\w+", row[1])} <= names


def test_the_runbook_names_503_answers_by_their_titles() -> None:
    told = re.findall(r"^- `([^`]+)`", section("Answered 503"), re.MULTILINE)

    assert told
    assert set(told) <= set(_TITLES.values())


@pytest.mark.parametrize("line", ["web", "worker"])
def test_the_procfile_is_as_documented(line: str) -> None:
    documented = {row[0]: code(row[1])[0] for row in tables(section("Running it in production"))[0].rows}
    procfile = dict(one.split(": ", 1) for one in Path(ROOT / "Procfile").read_text("utf-8").splitlines())

    assert documented[line] == procfile[line]


def _labels(names: tuple[str, ...]) -> str:
    return f"{{{','.join(names)}}}" if names else ""


def test_the_tests_that_show_a_guarantee_are_there() -> None:
    (table,) = tables(section("Guarantees and their limits"))
    named = {path for row in table.rows for path in code(row[2])}

    assert len(table.rows) == 8
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
