"""`relay virima whoami|lookup`: the output for an admin who checks a configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Result, run_relay
from harness import base_environ, mapping, write_mapping
from virima.site import JANE, MAX, SERVICE, virima_of

from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_virima import SimulatedVirima

Run = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """A simulated Virima."""
    with SimulatorServer(SimulatedVirima([SERVICE, JANE, MAX])) as started:
        yield started


@pytest.fixture
def run(tmp_path: Path, server: SimulatorServer) -> Run:
    """A function that runs `relay virima`. `acme` has a `virima` block, `plain` has none; keywords change the block."""

    def relay(*arguments: str, **block: Any) -> Result:
        virima = {
            "url": f"{server.url}/www_em/",
            "username": SERVICE.email,
            "password": {"env": "VIRIMA_PASSWORD"},
            "lookup": "impersonate",
            "timeout": "2s",
        }
        folder = tmp_path / "mappings"
        write_mapping(folder, "acme", mapping("https://iem.example.com", virima={**virima, **block}))
        write_mapping(folder, "plain", mapping("https://iem.example.com"))
        (folder / "broken.yaml").write_text("source: servicenow\n", "utf-8")
        environ = {"VIRIMA_PASSWORD": SERVICE.password, "WRONG_PASSWORD": "not-the-one", "RELAY_MAPPINGS": str(folder)}
        result = run_relay("virima", *arguments, environ={**base_environ(), **environ})
        assert "Traceback" not in result.stderr
        secrets = {SERVICE.password, JANE.password, MAX.password, "not-the-one"}
        assert [secret for secret in secrets if secret in result.stdout + result.stderr] == []
        return result

    return relay


def sessions(server: SimulatorServer) -> int:
    return len(virima_of(server).sessions)


def test_whoami_shows_the_account_and_leaves_no_session(run: Run, server: SimulatorServer) -> None:
    result = run("whoami", "acme")

    assert (result.returncode, result.stderr) == (0, "")
    record = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert (record["outcome"], record["email"], record["displayName"]) == ("found", SERVICE.email, "Relay Account")
    assert sessions(server) == 0


def test_lookup_shows_the_user(run: Run, server: SimulatorServer) -> None:
    result = run("lookup", "acme", JANE.email, "--json")

    content = json.loads(result.stdout)
    duration = content.pop("duration_ms")
    assert (result.returncode, result.stderr) == (0, "")
    assert 0 <= duration < 20_000
    assert content == {
        "outcome": "found",
        "reason": None,
        "status": 200,
        "user": {
            "id": 1002,
            "userName": JANE.email,
            "displayName": "Jane Doe",
            "email": JANE.email,
            "organizationName": "ACME",
        },
    }
    assert sessions(server) == 0


@pytest.mark.parametrize(
    ("arguments", "block", "sentence"),
    [
        (("lookup", "acme", "unknown@example.com"), {}, "Virima does not know unknown@example.com: check the email"),
        (("lookup", "acme", MAX.email), {}, "Virima knows max@example.com, but asks for a second factor"),
        (("whoami", "acme"), {"password": {"env": "WRONG_PASSWORD"}}, "check virima.username and virima.password"),
        (("lookup", "acme", ""), {}, "no email address was given"),
        (("whoami", "acme"), {"url": "http://127.0.0.1:9/"}, "Virima did not answer: check virima.url"),
        (("whoami", "acme"), {"ca_file": "/nonexistent/ca.pem", "url": "https://127.0.0.1:9/"}, "virima.ca_file"),
    ],
)
def test_a_fault_is_reported_in_a_sentence_with_exit_status_1(
    run: Run, arguments: tuple[str, ...], block: dict[str, Any], sentence: str
) -> None:
    result = run(*arguments, **block)

    assert result.returncode == 1
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            SimulatedFault(status=403, path="/www_em/login/dologin-impersonate"),
            "allow the account to impersonate users",
        ),
        (SimulatedFault(status=404), "there is no LoginService at virima.url"),
        (SimulatedFault(status=302, headers={"Location": "/"}), "set virima.url to the final address"),
        (SimulatedFault(status=200, body="<html>"), "the answer is not from Virima's LoginService"),
        (SimulatedFault(status=500), "Virima reports an internal error"),
        (SimulatedFault(status=429), "Virima limits the rate of calls"),
        (SimulatedFault(oversize=2 << 20), "ended early, was too long or took too long"),
    ],
)
def test_each_answer_of_virima_is_explained(
    run: Run, server: SimulatorServer, fault: SimulatedFault, sentence: str
) -> None:
    server.faults.add(fault)

    result = run("lookup", "acme", JANE.email)

    assert result.returncode == 1
    assert sentence in result.stderr


@pytest.mark.parametrize(
    ("name", "status", "sentence"),
    [
        ("globex", 1, "there is no integration globex"),
        ("plain", 78, "plain: its mapping file has no virima block: add one with url, username, password and lookup"),
        ("broken", 78, "missing key 'auth'"),
    ],
)
def test_an_integration_without_a_virima_block_is_reported(run: Run, name: str, status: int, sentence: str) -> None:
    for arguments in (("whoami", name), ("lookup", name, JANE.email)):
        result = run(*arguments)

        assert result.returncode == status
        assert sentence in result.stderr


def test_a_missing_secret_is_reported(run: Run) -> None:
    result = run("whoami", "acme", password={"env": "NOT_SET"})

    assert result.returncode == 1
    assert result.stderr == "the environment variable NOT_SET is not set: set it and restart\n"


def test_session_mode_shows_the_service_account(run: Run) -> None:
    result = run("lookup", "acme", JANE.email, "--json", lookup="session")

    assert json.loads(result.stdout)["user"]["email"] == SERVICE.email
