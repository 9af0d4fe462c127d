"""`relay iem ping|publish` against a simulated IEM that accepts only what the IEM guide allows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Result, run_relay
from harness import IEM_PASSWORD, ROOT, base_environ, iem_of, mapping, simulated_iem, wait_until, write_mapping
from iem.samples import SAMPLES

from relay.iem.publish_bodies import Publication
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer

Run = Callable[..., Result]
EVENT = SAMPLES[Publication.EVENTS]


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """A simulated IEM."""
    with simulated_iem() as started:
        yield started


@pytest.fixture
def run(tmp_path: Path, server: SimulatorServer, redis_url: str, redis: object) -> Run:
    """A function that runs `relay iem`; keywords change the `iem` block of the mapping `acme`."""

    def relay(*arguments: str, stdin: str = "", **block: Any) -> Result:
        write_mapping(tmp_path / "mappings", "acme", mapping(server.url, iem=block))
        (tmp_path / "mappings" / "broken.yaml").write_text("source: servicenow\n", "utf-8")
        settings = {"RELAY_REDIS_URL": redis_url, "RELAY_MAPPINGS": str(tmp_path / "mappings")}
        environ = {**base_environ(), **settings, "WRONG_PASSWORD": "not-the-one"}
        result = run_relay("iem", *arguments, environ=environ, folder=tmp_path, stdin=stdin)
        assert "Traceback" not in result.stderr
        assert [secret for secret in (IEM_PASSWORD, "not-the-one") if secret in result.stdout + result.stderr] == []
        return result

    return relay


def published(server: SimulatorServer) -> dict[str, list[dict[str, Any]]]:
    return {kind: bodies for kind, bodies in iem_of(server).published.items() if bodies}


def test_ping_reports_token_publish_service_and_clock(run: Run, server: SimulatorServer) -> None:
    result = run("ping", "acme")

    assert result.returncode == 0
    assert [line[:20] for line in result.stdout.splitlines()] == [
        f"ok    iem acme: {server.url[:4]}",
        "ok    publish acme: ",
        "ok    clock acme: IE",
    ]
    assert "issued a token" in result.stdout
    assert "publish service of IEM is running" in result.stdout
    assert published(server) == {}


@pytest.mark.parametrize(
    ("fault", "block", "sentence"),
    [
        (
            SimulatedFault(status=500, path="/publish/"),
            {},
            "health check of the publish service failed: server_error (HTTP 500) → IEM has a fault",
        ),
        (
            SimulatedFault(status=200, body="<html>", path="/publish/"),
            {},
            "health check of the publish service failed: unexpected_answer (HTTP 200)",
        ),
        (None, {"password": {"env": "WRONG_PASSWORD"}}, "wrong_credentials (HTTP 401) → check iem.username"),
        (None, {"password": {"env": "NOT_SET"}}, "not checked: the environment variable NOT_SET is not set"),
        (None, {"url": "http://127.0.0.1:9"}, "accepts no connection"),
    ],
)
def test_ping_reports_a_fault_with_exit_status_1(
    run: Run, server: SimulatorServer, fault: SimulatedFault | None, block: dict[str, Any], sentence: str
) -> None:
    if fault:
        server.faults.add(fault)

    result = run("ping", "acme", **block)

    assert result.returncode == 1
    assert sentence in result.stdout


def test_ping_of_a_missing_or_broken_mapping_fails(run: Run) -> None:
    assert (run("ping", "globex").returncode, run("ping", "broken").returncode) == (1, 78)


@pytest.mark.parametrize("publication", Publication)
def test_iem_accepts_each_kind_of_body(
    run: Run, server: SimulatorServer, publication: Publication, tmp_path: Path
) -> None:
    (tmp_path / "body.json").write_text(json.dumps(SAMPLES[publication]), "utf-8")

    result = run("publish", "acme", publication, "body.json")

    assert (result.returncode, result.stdout) == (0, "1 of 1 published\n"), result.stderr
    assert published(server) == {publication: [SAMPLES[publication]]}


def test_bodies_without_a_customer_get_the_mappings_customer(run: Run, server: SimulatorServer) -> None:
    bodies = [{**EVENT, "ieventid": str(number)} for number in range(40)]
    for body in bodies:
        del body["envcustomerid"]

    result = run("publish", "acme", "events", "-", stdin="".join(f"{json.dumps(body)}\n" for body in bodies))

    assert result.stdout == "40 of 40 published\n"
    found = published(server)["events"]
    assert {body["envcustomerid"] for body in found} == {"ACME"}
    assert sorted(int(body["ieventid"]) for body in found) == list(range(40))
    assert server.request_log.count("/api/v1/user/token") == 1


def test_the_token_is_shared_with_the_workers(run: Run, server: SimulatorServer) -> None:
    for _ in range(3):
        assert run("publish", "acme", "events", "-", stdin=json.dumps(EVENT)).returncode == 0

    assert server.request_log.count("/api/v1/user/token") == 1


def test_all_faults_are_printed_and_nothing_is_sent(run: Run, server: SimulatorServer) -> None:
    misspelt = {("severty" if name == "severity" else name): value for name, value in EVENT.items()}
    lines = [json.dumps(EVENT), json.dumps(misspelt), json.dumps({**EVENT, "createdon": "now"}), "{"]

    result = run("publish", "acme", "events", "-", stdin="\n".join(lines))

    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[:2] == [
        "<stdin>: line 2: severity is missing",
        "<stdin>: line 2: severty is unknown; did you mean severity?",
    ]
    assert lines[2].startswith("<stdin>: line 3: createdon: expected a text like")
    assert lines[3].startswith("<stdin>: line 4: not JSON")
    assert lines[4] == "4 faults: nothing was sent"
    assert server.request_log.arrived == 0


def test_a_dry_run_prints_the_bodies_and_sends_nothing(run: Run, server: SimulatorServer) -> None:
    without = {name: value for name, value in EVENT.items() if name != "envcustomerid"}

    result = run("publish", "acme", "events", "-", "--dry-run", stdin=json.dumps([without, EVENT]))

    assert [json.loads(line) for line in result.stdout.splitlines()] == [EVENT, EVENT]
    assert "2 bodies checked" in result.stderr
    assert server.request_log.arrived == 0


def test_a_refused_body_is_printed_with_its_place_and_kept(run: Run, server: SimulatorServer, tmp_path: Path) -> None:
    server.faults.add(SimulatedFault(status=400, body={"message": "Malformed request: no"}, path="/publish/", count=1))
    bodies = [{**EVENT, "ieventid": str(number)} for number in range(3)]

    result = run(
        "publish", "acme", "events", "-", "--failed-to", "failed.jsonl", stdin=json.dumps(bodies), max_in_flight=1
    )

    assert (result.returncode, result.stdout) == (1, "2 of 3 published\n")
    assert "record 1: refused (HTTP 400: Malformed request: no) → IEM calls the request malformed" in result.stderr
    assert json.loads((tmp_path / "failed.jsonl").read_text("utf-8")) == bodies[0]
    assert run("publish", "acme", "events", "failed.jsonl").stdout == "1 of 1 published\n"


@pytest.mark.parametrize(
    ("fault", "tried"),
    [
        (SimulatedFault(status=401, body={"message": "Data has been sent for inactive customer"}, path="/publish/"), 5),
        (SimulatedFault(status=403, body={"message": "Access denied"}, path="/publish/"), 1),
        (SimulatedFault(status=503, path="/publish/"), 5),
        (SimulatedFault(drop="before", path="/publish/"), 5),
    ],
)
def test_publishing_stops_when_further_bodies_would_fail(
    run: Run, server: SimulatorServer, fault: SimulatedFault, tried: int
) -> None:
    server.faults.add(fault)

    result = run("publish", "acme", "events", "-", "--json", stdin=json.dumps([EVENT] * 30), max_in_flight=1)

    summary = json.loads(result.stdout)
    assert result.returncode == 1
    assert (summary["published"], len(summary["failed"]), summary["not_sent"]) == (0, tried, 30 - tried)
    assert server.request_log.count("/publish/") == tried


def test_an_expired_token_is_replaced_once(run: Run, server: SimulatorServer) -> None:
    run("publish", "acme", "events", "-", stdin=json.dumps(EVENT))
    iem_of(server).revoke()

    result = run("publish", "acme", "events", "-", stdin=json.dumps([EVENT] * 5), max_in_flight=1)

    assert result.stdout == "5 of 5 published\n"
    assert server.request_log.count("/api/v1/user/token") == 2


def test_wrong_credentials_are_tried_once(run: Run, server: SimulatorServer) -> None:
    result = run("publish", "acme", "events", "-", stdin=json.dumps([EVENT] * 30), password={"env": "WRONG_PASSWORD"})

    assert result.returncode == 1
    assert "wrong_credentials (HTTP 401: Invalid username/password.) → check iem.username" in result.stderr
    assert server.request_log.count("/api/v1/user/token") == 1


def test_control_characters_of_iems_message_are_escaped(run: Run, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=400, body={"message": "no \x1b[2J\x9b31m\u202egood"}, path="/publish/"))

    result = run("publish", "acme", "events", "-", stdin=json.dumps(EVENT))

    assert "HTTP 400: no " in result.stderr
    assert not set("\x1b\x9b\u202e") & set(result.stderr)


@pytest.mark.parametrize(
    ("stdin", "sentence"), [("", "not JSON"), ("[]", "contains nothing to publish"), ("\n", "not JSON")]
)
def test_an_empty_file_is_reported_in_a_sentence(run: Run, stdin: str, sentence: str) -> None:
    result = run("publish", "acme", "events", "-", stdin=stdin)

    assert result.returncode == 1
    assert sentence in result.stderr


def test_wrong_usage_is_exit_status_2(run: Run) -> None:
    assert run("publish", "acme", "evnts", "-").returncode == 2
    assert run("publish", "acme", "events", "nothing.json").returncode == 2


def test_an_unwritable_failed_to_file_is_reported_before_sending(run: Run, server: SimulatorServer) -> None:
    result = run("publish", "acme", "events", "-", "--failed-to", "no/such/folder.jsonl", stdin=json.dumps(EVENT))

    assert result.returncode == 2
    assert server.request_log.arrived == 0


def test_failed_bodies_can_replace_the_input_file(run: Run, server: SimulatorServer, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(json.dumps(EVENT), "utf-8")
    server.faults.add(SimulatedFault(status=503, path="/publish/"))

    result = run("publish", "acme", "events", "events.jsonl", "--failed-to", "events.jsonl")

    assert result.returncode == 1
    assert json.loads((tmp_path / "events.jsonl").read_text("utf-8")) == EVENT


def test_a_refused_customer_of_one_body_does_not_stop_the_others(run: Run, server: SimulatorServer) -> None:
    iem_of(server).set_customer("OTHER", active=True)
    bodies = [EVENT, {**EVENT, "envcustomerid": "OTHER"}, *([EVENT] * 8)]

    result = run("publish", "acme", "events", "-", stdin=json.dumps(bodies), max_in_flight=1)

    assert result.stdout == "9 of 10 published\n"
    assert "record 2: user_not_associated" in result.stderr


def test_the_summary_is_printed_even_if_redis_is_unavailable(run: Run, server: SimulatorServer, tmp_path: Path) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping(server.url))
    settings = {"RELAY_REDIS_URL": "redis://127.0.0.1:9/0", "RELAY_MAPPINGS": str(tmp_path / "mappings")}

    result = run_relay(
        *("iem", "publish", "acme", "events", "-"),
        environ={**base_environ(), **settings},
        stdin=json.dumps([EVENT, EVENT]),
    )

    assert (result.returncode, result.stdout) == (1, "0 of 2 published\n")
    assert "2 not sent: Redis: Error 111" in result.stderr


@pytest.fixture
def start(
    tmp_path: Path, server: SimulatorServer, redis_url: str, redis: object
) -> Callable[..., subprocess.Popen[bytes]]:
    """A function that starts to publish 40 events, one at a time, with the given stderr."""

    def popen(stderr: int, *options: str) -> subprocess.Popen[bytes]:
        write_mapping(tmp_path / "mappings", "acme", mapping(server.url, iem={"max_in_flight": 1}))
        (tmp_path / "events.jsonl").write_text(f"{json.dumps(EVENT)}\n" * 40, "utf-8")
        settings = {"RELAY_REDIS_URL": redis_url, "RELAY_MAPPINGS": "mappings", "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, "-m", "relay", "iem", "publish", "acme", "events", "events.jsonl", *options],
            cwd=tmp_path,
            env={**base_environ(), **settings, "TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=stderr,
        )

    return popen


def test_a_terminal_shows_a_progress_bar(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    ours, theirs = os.openpty()
    process = start(theirs)
    stdout, _ = process.communicate(timeout=30)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)

    assert "publishing" in shown
    assert "100%" in shown
    assert stdout == b"40 of 40 published\n"


def test_ctrl_c_prints_a_summary_and_keeps_unsent_bodies(
    start: Callable[..., subprocess.Popen[bytes]], server: SimulatorServer, tmp_path: Path
) -> None:
    server.faults.add(SimulatedFault(delay=0.2, path="/publish/"))
    process = start(subprocess.PIPE, "--failed-to", "rest.jsonl")
    wait_until(lambda: server.request_log.count("/publish/", 200) >= 2, "some events are published")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)

    done = server.request_log.count("/publish/", 200)
    rest = (tmp_path / "rest.jsonl").read_text("utf-8").splitlines()
    assert process.returncode == 1
    assert done < 40
    # The request in flight was completed, so that it is not sent again.
    assert int(stdout.split()[0]) == done
    assert len(rest) == 40 - done
    assert b"not sent: stopped" in stderr
