"""`relay mappings check`, in a process of its own: its output and its exit status."""

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


def test_good_files_are_exit_status_0(tmp_path: Path) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping(IEM))

    result = check(tmp_path)

    assert result.returncode == 0
    assert result.stdout == "mappings/acme.yaml: good (servicenow → IEM ACME/42)\n"


def test_every_fault_of_every_file_is_printed_with_status_78(tmp_path: Path) -> None:
    write_mapping(tmp_path / "mappings", "good", mapping(IEM))
    (tmp_path / "mappings" / "acme.yaml").write_text("source: servicenow\nstats: {6: 6}\nauth: maybe\n", "utf-8")
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


def test_a_missing_secret_is_reported_at_its_place(tmp_path: Path) -> None:
    content = mapping(IEM, iem={"password": {"file": "/nonexistent/pw"}})
    write_mapping(tmp_path / "mappings", "acme", content)

    result = check(tmp_path, ACME_WEBHOOK_PASSWORD="")

    assert result.returncode == 78
    assert "auth" not in result.stdout.splitlines()[0].split(": ")[0]
    assert "password: the environment variable ACME_WEBHOOK_PASSWORD is not set" in result.stdout
    assert "password: the secret file /nonexistent/pw cannot be read: No such file or directory" in result.stdout


@pytest.mark.parametrize("name", ["ACME", "a_b", "-a", "a" * 64])
def test_a_file_name_that_is_not_an_integration_name_is_a_fault(tmp_path: Path, name: str) -> None:
    write_mapping(tmp_path / "mappings", name, mapping(IEM))

    result = check(tmp_path)

    assert result.returncode == 78
    assert "is not a valid integration name" in result.stdout


def test_hidden_files_are_skipped_and_yml_is_a_fault(tmp_path: Path) -> None:
    write_mapping(tmp_path / "mappings", "_example", {"nonsense": 1})
    write_mapping(tmp_path / "mappings", ".hidden", {"nonsense": 1})
    (tmp_path / "mappings" / "acme.yml").write_text("source: servicenow\n", "utf-8")

    result = check(tmp_path)

    assert (
        result.stdout == "mappings/acme.yml:1:1: only files that end in .yaml are read: rename this file to acme.yaml\n"
    )


def test_a_folder_without_mapping_files_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()

    result = check(tmp_path)

    assert result.returncode == 78
    assert "no mapping files" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("nothing.yaml",)])
def test_a_missing_folder_or_file_is_reported_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = check(tmp_path, *arguments)

    assert result.returncode == 78
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr


def test_the_json_output_has_the_same_faults(tmp_path: Path) -> None:
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


def test_missing_secrets_of_the_other_process_are_warnings(tmp_path: Path) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping(IEM))

    web = check(tmp_path, "--for", "web", ACME_IEM_PASSWORD="")
    worker = check(tmp_path, "--for", "worker", ACME_IEM_PASSWORD="")

    assert web.returncode == 0
    assert "warning: password: the environment variable ACME_IEM_PASSWORD is not set" in web.stdout
    assert "acme.yaml: good" in web.stdout
    assert worker.returncode == 78
    assert "warning" not in worker.stdout


def test_each_of_several_secrets_is_reported_at_its_own_place(tmp_path: Path) -> None:
    text = """\
source: servicenow
auth: [{type: hmac, header: X-A, secret: [{env: ACME_IEM_PASSWORD}, {env: ACME_OLD}]}]
iem: {url: https://iem.example.com, customer_id: A, integration_id: 4, username: a, password: {env: ACME_IEM_PASSWORD}}
"""
    (tmp_path / "acme.yaml").write_text(text, "utf-8")

    result = check(tmp_path, "acme.yaml")

    assert result.stdout.startswith("acme.yaml:2:69: secret: the environment variable ACME_OLD is not set")


def test_two_files_for_the_same_integration_are_warnings(tmp_path: Path) -> None:
    for name in ("acme", "bcme"):
        write_mapping(tmp_path / "mappings", name, mapping(IEM))
    write_mapping(tmp_path / "mappings", "elsewhere", mapping("https://other.example.com"))
    write_mapping(tmp_path / "mappings", "off", {**mapping(IEM), "enabled": False})
    write_mapping(tmp_path / "mappings", "sx", {**mapping(IEM), "source": "service-exchange"})

    result = check(tmp_path)

    assert result.returncode == 0
    warnings = [line.partition(": ")[2] for line in result.stdout.splitlines() if ": warning: " in line]
    assert warnings == [
        f"warning: integration_id: mappings/{other}.yaml also pushes tickets from servicenow to ACME/42: "
        "a ticket that is posted to more than one of these integrations is pushed more than once"
        for other in ("bcme", "acme")
    ]


SAME_DESTINATION = (
    "integration_id: {} tickets from servicenow to ACME/42: "
    "a ticket that is posted to more than one of these integrations is pushed more than once"
)


def test_a_file_is_compared_with_the_files_of_its_folder(tmp_path: Path) -> None:
    write_mapping(tmp_path, "acme", {**mapping(IEM), "stats": {}})
    write_mapping(tmp_path, "bcme", {**mapping(IEM), "nonsense": 1})
    for name in ("ccme", "dcme"):
        write_mapping(tmp_path, name, mapping(f"{IEM.upper()}:443/"))

    (checked,) = json.loads(check(tmp_path, "acme.yaml", "--json").stdout)

    assert [(fault["severity"], fault["message"]) for fault in checked["faults"] if fault["key"] != "stats"] == [
        ("warning", SAME_DESTINATION.format("bcme.yaml and 2 more files also push"))
    ]


@pytest.mark.parametrize(
    ("url", "its_url", "is_reported"),
    [
        ("http://127.0.0.1:8080", "http://localhost:8080/", True),
        ("http://localhost", "http://[::1]:80", True),
        (IEM, {"env": "ELSEWHERE"}, False),
        (IEM, {"env": "SAME"}, True),
        (IEM, {"env": "UNKNOWN"}, True),
        (IEM, f"{IEM}/base", False),
    ],
)
def test_only_files_with_the_same_destination_are_reported(
    tmp_path: Path, url: str, its_url: str | dict[str, str], is_reported: bool
) -> None:
    write_mapping(tmp_path, "acme", mapping(url))
    write_mapping(tmp_path, "bcme", mapping(url, iem={"url": its_url}))

    output = check(tmp_path, "acme.yaml", ELSEWHERE="https://other.example.com", SAME=f"{IEM}/").stdout

    assert (SAME_DESTINATION.format("bcme.yaml also pushes") in output) is is_reported


def test_all_faults_and_warnings_are_reported_together(tmp_path: Path) -> None:
    iem = {"password": {"env": "UNSET"}, "ca_file": "nowhere.pem", "timeout": "1"}
    write_mapping(tmp_path, "acme", {**mapping("http://localhost", iem=iem), "stats": {}, "publish": {"events": False}})
    write_mapping(tmp_path, "bcme", mapping("http://localhost"))

    output = check(tmp_path, "acme.yaml", ACME_WEBHOOK_PASSWORD="").stdout

    for message in (
        "password: the environment variable UNSET is not set",
        "password: the environment variable ACME_WEBHOOK_PASSWORD is not set",
        "ca_file: cannot read this file: No such file or directory",
        "warning: no effect: `iem.url` is http" if "timeout" not in output else "timeout: '1' is not a duration",
        "unknown key 'stats'; did you mean 'states'?",
        "warning: publish: has no effect: none of its keys is enabled",
        f"warning: {SAME_DESTINATION.format('bcme.yaml also pushes')}",
    ):
        assert message in output


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
def test_an_unusable_ca_file_is_a_fault_for_workers_only(tmp_path: Path, content: str | None, problem: str) -> None:
    write_mapping(tmp_path, "acme", mapping(IEM, iem={"ca_file": "ca.pem"}))
    if content is not None:
        (tmp_path / "ca.pem").write_text(content, "utf-8")

    web = check(tmp_path, "acme.yaml", "--for", "web")
    worker = check(tmp_path, "acme.yaml", "--for", "worker")

    assert (web.returncode, worker.returncode) == (0, 78)
    assert f": warning: ca_file: {problem}" in web.stdout
    assert f": ca_file: {problem}" in worker.stdout
    assert "hunter2" not in web.stdout + worker.stdout


def test_a_ca_file_that_is_a_pipe_does_not_block_the_check(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem")
    write_mapping(tmp_path, "acme", mapping(IEM, iem={"ca_file": "ca.pem"}))

    assert "ca_file: this is not a regular file" in check(tmp_path, "acme.yaml").stdout


def test_a_valid_ca_file_is_accepted(tmp_path: Path) -> None:
    write_mapping(tmp_path, "acme", mapping(IEM, iem={"ca_file": certifi.where()}))

    assert check(tmp_path, "acme.yaml").returncode == 0


def test_a_slow_sys_id_pattern_does_not_block_the_check(tmp_path: Path) -> None:
    slow = {"name": "slow", "payload": {"sys_id": "a" * 200 + "!", "state": 6}, "expect": {"state": 6}}
    write_mapping(tmp_path, "acme", {**mapping(IEM), "sys_id_pattern": "^(a|aa)+$", "tests": [slow]})

    assert "takes too long for this id: simplify it" in check(tmp_path, "acme.yaml").stdout


def run_in_a_terminal(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    monkeypatch.chdir(folder)
    return CliRunner().invoke(relay, ["mappings", "check", "acme.yaml"], color=True).output


def test_a_terminal_gets_colours_unless_no_color_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme.yaml").write_text("source: servicenow\nstats: {6: 6}\n", "utf-8")

    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = run_in_a_terminal(monkeypatch, tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = run_in_a_terminal(monkeypatch, tmp_path)

    assert "\x1b[31m" in coloured
    assert "\x1b" not in plain
    assert click.unstyle(coloured) == plain
