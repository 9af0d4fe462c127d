"""`relay mappings check`, as a command of its own: what an admin sees, and the exit status."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import certifi
import click
import pytest
from click.testing import CliRunner
from commands import Result, run_relay
from harness import base_environ, mapping, write_mapping

from relay.cli.main import relay

IEM = "https://iem.example.com"


def check(folder: Path, *arguments: str, **environ: str) -> Result:
    environ = {**base_environ(), "RELAY_MAPPINGS": "mappings", **environ}
    return run_relay("mappings", "check", *arguments, environ=environ, folder=folder)


def test_good_files_are_told_to_be_good_with_status_0(tmp_path: Path) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping(IEM))

    result = check(tmp_path)

    assert result.returncode == 0
    assert result.stdout == "mappings/acme.yaml: good (servicenow → IEM ACME/42)\n"


def test_every_fault_of_every_file_is_told_with_status_78(tmp_path: Path) -> None:
    write_mapping(tmp_path / "mappings", "good", mapping(IEM))
    (tmp_path / "mappings" / "acme.yaml").write_text("source: servicenow\nstats: {6: 6}\nauth: nobody\n", "utf-8")
    (tmp_path / "mappings" / "tab.yaml").write_text("a:\n\tb: 1\n", "utf-8")

    result = check(tmp_path)

    assert result.returncode == 78
    assert result.stdout.splitlines() == [
        "mappings/acme.yaml:1:1: missing key 'iem'",
        "  source: servicenow",
        "  ^",
        "mappings/acme.yaml:2:1: unknown key 'stats'; did you mean 'states'?",
        "  stats: {6: •••}",
        "  ^",
        "mappings/acme.yaml:3:7: auth: expected a list with at least one authentication method, or the word none",
        "  auth: •••",
        "        ^",
        "mappings/good.yaml: good (servicenow → IEM ACME/42)",
        "mappings/tab.yaml:2:1: tabs cannot be used here: indent with spaces",
        "  →b: •••",
        "  ^",
    ]


def test_a_secret_that_cannot_be_read_is_told_where_it_stands(tmp_path: Path) -> None:
    content = mapping(IEM, iem={"password": {"file": "/nonexistent/pw"}})
    write_mapping(tmp_path / "mappings", "acme", content)

    result = check(tmp_path, ACME_WEBHOOK_PASSWORD="")

    assert result.returncode == 78
    assert "auth" not in result.stdout.splitlines()[0].split(": ")[0]
    assert "password: the environment variable ACME_WEBHOOK_PASSWORD is not set" in result.stdout
    assert "password: the secret file /nonexistent/pw cannot be read: No such file or directory" in result.stdout


@pytest.mark.parametrize("name", ["ACME", "a_b", "-a", "a" * 64])
def test_a_file_whose_name_is_no_integration_name_is_told(tmp_path: Path, name: str) -> None:
    write_mapping(tmp_path / "mappings", name, mapping(IEM))

    result = check(tmp_path)

    assert result.returncode == 78
    assert "is not a valid integration name" in result.stdout


def test_hidden_files_are_not_integrations_and_a_yml_is_told(tmp_path: Path) -> None:
    write_mapping(tmp_path / "mappings", "_example", {"nonsense": 1})
    write_mapping(tmp_path / "mappings", ".hidden", {"nonsense": 1})
    (tmp_path / "mappings" / "acme.yml").write_text("source: servicenow\n", "utf-8")

    result = check(tmp_path)

    assert (
        result.stdout == "mappings/acme.yml:1:1: only files that end in .yaml are read: rename this file to acme.yaml\n"
    )


def test_no_file_at_all_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()

    result = check(tmp_path)

    assert result.returncode == 78
    assert "no mapping files" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("nothing.yaml",)])
def test_a_missing_folder_or_file_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = check(tmp_path, *arguments)

    assert result.returncode == 78
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr


def test_the_json_form_holds_the_same_faults(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text("source: servicenow\nstats: {6: 6}\n", "utf-8")

    result = check(tmp_path, "acme.yaml", "--json")

    content: list[dict[str, Any]] = json.loads(result.stdout)
    assert content[0]["file"] == "acme.yaml"
    assert {
        "file": "acme.yaml",
        "line": 2,
        "column": 1,
        "severity": "error",
        "message": "unknown key 'stats'; did you mean 'states'?",
        "key": "stats",
    } in content[0]["faults"]


def test_a_side_is_only_warned_of_secrets_that_the_other_one_needs(tmp_path: Path) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping(IEM))

    web = check(tmp_path, "--for", "web", ACME_IEM_PASSWORD="")
    worker = check(tmp_path, "--for", "worker", ACME_IEM_PASSWORD="")

    assert web.returncode == 0
    assert "warning: password: the environment variable ACME_IEM_PASSWORD is not set" in web.stdout
    assert "acme.yaml: good" in web.stdout
    assert worker.returncode == 78
    assert "warning" not in worker.stdout


def test_each_of_several_secrets_is_told_at_its_own_place(tmp_path: Path) -> None:
    text = """\
source: servicenow
auth: [{type: hmac, header: X-A, secret: [{env: ACME_IEM_PASSWORD}, {env: ACME_OLD}]}]
iem: {url: https://iem.example.com, customer_id: A, integration_id: 4, username: a, password: {env: ACME_IEM_PASSWORD}}
"""
    (tmp_path / "acme.yaml").write_text(text, "utf-8")

    result = check(tmp_path, "acme.yaml")

    assert result.stdout.startswith("acme.yaml:2:69: secret: the environment variable ACME_OLD is not set")


def test_two_files_that_push_the_same_integration_are_warned_of(tmp_path: Path) -> None:
    for name in ("acme", "bcme"):
        write_mapping(tmp_path / "mappings", name, mapping(IEM))
    write_mapping(tmp_path / "mappings", "elsewhere", mapping("https://other.example.com"))
    write_mapping(tmp_path / "mappings", "off", {**mapping(IEM), "enabled": False})
    write_mapping(tmp_path / "mappings", "sx", {**mapping(IEM), "source": "service-exchange"})

    result = check(tmp_path)

    assert result.returncode == 0
    told = [line.partition(": ")[2] for line in result.stdout.splitlines() if ": warning: " in line]
    assert told == [
        f"warning: integration_id: mappings/{other}.yaml also pushes to ACME/42 from servicenow: "
        "a ticket that is sent to both is pushed twice"
        for other in ("bcme", "acme")
    ]


RIVAL = "integration_id: {} to ACME/42 from servicenow: a ticket that is sent to both is pushed twice"


def test_a_file_is_compared_with_its_neighbours_which_are_not_told_of_themselves(tmp_path: Path) -> None:
    write_mapping(tmp_path, "acme", {**mapping(IEM), "stats": {}})
    write_mapping(tmp_path, "bcme", {**mapping(IEM), "nonsense": 1})
    for name in ("ccme", "dcme"):
        write_mapping(tmp_path, name, mapping(f"{IEM.upper()}:443/"))

    (told,) = json.loads(check(tmp_path, "acme.yaml", "--json").stdout)

    assert [(one["severity"], one["message"]) for one in told["faults"] if one["key"] != "stats"] == [
        ("warning", RIVAL.format("bcme.yaml and 2 more files also push"))
    ]


@pytest.mark.parametrize(
    ("url", "its_url", "are_rivals"),
    [
        ("http://127.0.0.1:8080", "http://localhost:8080/", True),
        ("http://localhost", "http://[::1]:80", True),
        (IEM, {"env": "ELSEWHERE"}, False),
        (IEM, {"env": "SAME"}, True),
        (IEM, {"env": "UNKNOWN"}, True),
        (IEM, f"{IEM}/base", False),
    ],
)
def test_rivals_are_told_apart_by_where_they_push(
    tmp_path: Path, url: str, its_url: str | dict[str, str], are_rivals: bool
) -> None:
    write_mapping(tmp_path, "acme", mapping(url))
    write_mapping(tmp_path, "bcme", mapping(url, iem={"url": its_url}))

    told = check(tmp_path, "acme.yaml", ELSEWHERE="https://other.example.com", SAME=f"{IEM}/").stdout

    assert (RIVAL.format("bcme.yaml also pushes") in told) is are_rivals


def test_everything_is_told_at_once(tmp_path: Path) -> None:
    iem = {"password": {"env": "UNSET"}, "ca_file": "nowhere.pem", "timeout": "1"}
    write_mapping(tmp_path, "acme", {**mapping("http://localhost", iem=iem), "stats": {}, "publish": {"events": False}})
    write_mapping(tmp_path, "bcme", mapping("http://localhost"))

    told = check(tmp_path, "acme.yaml", ACME_WEBHOOK_PASSWORD="").stdout

    for message in (
        "password: the environment variable UNSET is not set",
        "password: the environment variable ACME_WEBHOOK_PASSWORD is not set",
        "ca_file: cannot read this file: No such file or directory",
        "warning: no effect: `iem.url` is http" if "timeout" not in told else "timeout: '1' is not a duration",
        "unknown key 'stats'; did you mean 'states'?",
        "warning: has no effect: none of its keys is switched on",
        f"warning: {RIVAL.format('bcme.yaml also pushes')}",
    ):
        assert message in told


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read this file: No such file or directory"),
        ("", "this file contains no certificates in PEM format"),
        ("hunter2", "this file contains no certificates in PEM format"),
        (
            "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n",
            "this file contains no certificates in PEM format",
        ),
    ],
)
def test_a_file_without_certificates_is_a_fault_for_workers_and_a_warning_for_web(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    write_mapping(tmp_path, "acme", mapping(IEM, iem={"ca_file": "ca.pem"}))
    if content is not None:
        (tmp_path / "ca.pem").write_text(content, "utf-8")

    web = check(tmp_path, "acme.yaml", "--for", "web")
    worker = check(tmp_path, "acme.yaml", "--for", "worker")

    assert (web.returncode, worker.returncode) == (0, 78)
    assert f": warning: ca_file: {problem}" in web.stdout
    assert f": ca_file: {problem}" in worker.stdout
    assert "hunter2" not in web.stdout + worker.stdout


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem")
    write_mapping(tmp_path, "acme", mapping(IEM, iem={"ca_file": "ca.pem"}))

    assert "ca_file: this is not a file" in check(tmp_path, "acme.yaml").stdout


def test_a_good_file_of_certificates_is_good(tmp_path: Path) -> None:
    write_mapping(tmp_path, "acme", mapping(IEM, iem={"ca_file": certifi.where()}))

    assert check(tmp_path, "acme.yaml").returncode == 0


def test_a_pattern_that_would_take_days_does_not_hold_the_check_up(tmp_path: Path) -> None:
    slow = {"name": "slow", "payload": {"sys_id": "a" * 200 + "!", "state": 6}, "expect": {"state": 6}}
    write_mapping(tmp_path, "acme", {**mapping(IEM), "sys_id_pattern": "^(a|aa)+$", "tests": [slow]})

    assert "takes too long for this id: simplify it" in check(tmp_path, "acme.yaml").stdout


def run_in_a_terminal(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    monkeypatch.chdir(folder)
    return CliRunner().invoke(relay, ["mappings", "check", "acme.yaml"], color=True).output


def test_a_terminal_gets_colours_unless_it_wants_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme.yaml").write_text("source: servicenow\nstats: {6: 6}\n", "utf-8")

    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = run_in_a_terminal(monkeypatch, tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = run_in_a_terminal(monkeypatch, tmp_path)

    assert "\x1b[31m" in coloured
    assert "\x1b" not in plain
    assert click.unstyle(coloured) == plain
