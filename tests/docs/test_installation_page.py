"""docs/operating/installation.md, the Procfile and the systemd units agree."""

from __future__ import annotations

import re

import pytest
from docs.markdown import ROOT, code, read_text, section, tables

from relay.settings import load_settings

PAGE = "docs/operating/installation.md"
UNITS = ("relay-web", "relay-worker")
both = pytest.mark.parametrize("name", UNITS)


def options_of(name: str) -> dict[str, str]:
    text = (ROOT / "deploy" / "systemd" / f"{name}.service").read_text("utf-8")
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


@both
def test_a_unit_restarts_its_process_whatever_ended_it(name: str) -> None:
    assert options_of(name)["Restart"] == "always"


@both
def test_a_unit_waits_for_longer_than_its_process_takes_to_stop(name: str) -> None:
    gunicorn = re.search(r"^graceful_timeout = (\d+)$", read_text("relay/web/gunicorn_conf.py"), re.MULTILINE)
    assert gunicorn
    longest = max(load_settings({}).shutdown_grace, float(gunicorn[1]))

    assert options_of(name)["KillSignal"] == "SIGTERM"
    assert float(options_of(name)["TimeoutStopSec"]) >= longest + 10


def test_the_page_names_the_time_to_stop() -> None:
    assert f"TimeoutStopSec={options_of('relay-worker')['TimeoutStopSec']}" in section("How a worker stops", PAGE)


def test_the_units_run_the_documented_commands() -> None:
    web, worker = (options_of(name)["ExecStart"] for name in UNITS)

    assert web.replace("--config", "-c").endswith(
        'gunicorn -c python:relay.web.gunicorn_conf "relay.web.wsgi:make_app()"'
    )
    assert 'gunicorn -c python:relay.web.gunicorn_conf "relay.web.wsgi:make_app()"' in read_text(PAGE)
    assert worker.endswith("/relay worker")


@both
def test_the_page_names_the_files_that_a_unit_reads(name: str) -> None:
    text = (ROOT / "deploy" / "systemd" / f"{name}.service").read_text("utf-8")
    files = re.findall(r"^EnvironmentFile=-?(.*)$", text, re.MULTILINE)

    assert len(files) == 2
    assert [file for file in files if file not in section("Set up systemd", PAGE)] == []


def test_the_procfile_has_the_documented_commands() -> None:
    (table,) = tables(section("What you run", PAGE))
    lines = read_text("Procfile").splitlines()

    assert {row[0]: code(row[1])[0] for row in table.rows} == dict(line.split(": ", 1) for line in lines)
