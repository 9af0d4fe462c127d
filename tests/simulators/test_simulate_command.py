"""`relay simulate` in processes of its own: what it prints, and how it ends."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from click.testing import CliRunner

from relay.cli.simulate import simulate
from relay.simulators.iem_access import Installation
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem

COMMAND = [sys.executable, "-c", "from relay.cli.simulate import simulate; simulate()"]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Run a simulator, and yield the process, its first line and its URL."""
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield process, line, line.partition(" listens on ")[2].partition(";")[0]
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_simulator_serves_until_a_signal_stops_it(how: signal.Signals) -> None:
    with running("iem", "--port", "0") as (process, line, url):
        assert requests.get(url + "/publish/healthcheck/", timeout=5).status_code == 200

        process.send_signal(how)
        out, err = process.communicate(timeout=10)

    assert line.startswith("IEM simulator listens on http://127.0.0.1:")
    assert "curl http://127.0.0.1:" in line
    assert (process.returncode, out, err) == (0, "", "")


def test_the_options_configure_the_simulated_iem() -> None:
    options = [
        "--user",
        "a@example.com:b:c",
        "--customer",
        "X",
        "--customer",
        "Y",
        "--integration",
        "7",
        "--jwt",
    ]
    with running("iem", "--port", "0", *options) as (_, _, url):
        fetched = requests.post(url + "/api/v1/user/token", auth=("a@example.com", "b:c"), timeout=5)
        token = fetched.json()["data"]["access_token"]
        pushed = requests.post(
            url + "/gbp/push/Y?integrationid=7",
            json={"state": 6, "sysid": "x"},
            headers={"Cookie": f"access_token={token}"},
            timeout=5,
        )

    assert token.count(".") == 2
    assert pushed.status_code == 200


def test_the_options_configure_the_people_of_the_simulated_virima() -> None:
    options = ["--user", "a@example.com:b", "--person", "jane@example.com=Jane Doe"]
    with running("virima", "--port", "0", *options) as (_, line, url), requests.Session() as session:
        session.auth = ("a@example.com", "b")
        session.post(url + "login/dologin", json={"email": "a@example.com", "password": "b"}, timeout=5)
        answer = session.post(url + "login/dologin-impersonate", json={"email": "jane@example.com"}, timeout=5)

    assert line.startswith("Virima simulator listens on http://127.0.0.1:")
    assert answer.json()["displayName"] == "Jane Doe"


def test_a_port_in_use_is_one_sentence_and_exit_status_1() -> None:
    with SimulatorServer(SimulatedIem(Installation((), {}, frozenset()))) as server:
        result = CliRunner().invoke(simulate, ["iem", "--port", str(server.port)])

    assert result.exit_code == 1
    assert result.stderr == f"Error: Cannot listen on 127.0.0.1:{server.port}: Address already in use.\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["iem", "--user", "no-password"],
        ["iem", "--token-lifetime", "0"],
        ["iem", "--port", "65536"],
        ["virima", "--person", "jane@example.com"],
    ],
)
def test_a_wrong_option_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(simulate, arguments).exit_code == 2
