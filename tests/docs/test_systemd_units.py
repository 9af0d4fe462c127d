"""The systemd units run the documented commands and leave the processes time to stop."""

from __future__ import annotations

import re

import pytest
from docs.markdown import ROOT, read_text, section

from relay.settings import load_settings

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


def test_the_readme_tells_the_units_time_to_stop() -> None:
    assert f"TimeoutStopSec={options_of('relay-worker')['TimeoutStopSec']}" in section("Installing")


def test_the_units_run_the_documented_commands() -> None:
    web, worker = (options_of(name)["ExecStart"] for name in UNITS)

    assert web.replace("--config", "-c").endswith(
        'gunicorn -c python:relay.web.gunicorn_conf "relay.web.wsgi:make_app()"'
    )
    assert 'gunicorn -c python:relay.web.gunicorn_conf "relay.web.wsgi:make_app()"' in read_text()
    assert worker.endswith("/relay worker")


@both
def test_the_readme_names_the_files_that_a_unit_reads(name: str) -> None:
    text = (ROOT / "deploy" / "systemd" / f"{name}.service").read_text("utf-8")
    files = re.findall(r"^EnvironmentFile=-?(.*)$", text, re.MULTILINE)

    assert len(files) == 2
    assert [file for file in files if file not in section("Installing")] == []
