"""While Redis is unavailable, web accepts webhooks into the journal, and moves them to Redis later. Redis is killed."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from harness import (
    WEBHOOK_PASSWORD,
    RedisServer,
    Relay,
    iem_of,
    kill_all,
    mapping,
    sys_id,
    wait_until,
    write_mapping,
)

from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats

pytestmark = pytest.mark.slow

RESOLVED = {"state": "6", "sys_mod_count": "3"}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path).start()
    yield server
    server.stop()


@pytest.fixture
def relay(tmp_path: Path, redis: RedisServer, iem: SimulatorServer) -> Iterator[Relay]:
    relay = Relay(tmp_path, redis.url, {"RELAY_JOURNAL": str(tmp_path / "journal")})
    write_mapping(relay.mappings, "acme", mapping(iem.url, states={"6": "6", "7": "7"}))
    yield relay
    relay.stop()


def ready(relay: Relay) -> requests.Response:
    return requests.get(f"{relay.url}/readyz", timeout=5)


def pending(redis: RedisServer) -> int:
    return Heartbeats(Connection(redis.url, timeout=5)).backlogs(["acme"])[0].pending


def pushes(iem: SimulatorServer) -> list[tuple[str, int]]:
    return [(push.sysid, push.state) for push in iem_of(iem).pushes]


def test_updates_in_the_journal_reach_iem_in_order(relay: Relay, redis: RedisServer, iem: SimulatorServer) -> None:
    web = relay.start_web()
    redis.send(signal.SIGKILL)

    answers = [
        relay.post({"sys_id": sys_id(ticket), "state": state, "sys_mod_count": version})
        for version, state in (("3", "6"), ("4", "7"))
        for ticket in range(20)
    ]
    repeated = relay.post({"sys_id": sys_id(0), "state": "7", "sys_mod_count": "4"})

    assert {answer.status_code for answer in [*answers, repeated]} == {202}
    assert list(answers[0].json()) == ["status", "journal_id"]
    assert answers[0].json()["status"] == "journaled"
    kill_all(web)
    relay.start_web()
    redis.start()
    wait_until(lambda: relay.check("journal").get("observedValue") == 0, "the journal is drained")
    relay.start_worker()
    wait_until(lambda: len(pushes(iem)) >= 20 and pending(redis) == 0, "all are delivered")
    assert sorted(pushes(iem)) == [(sys_id(ticket), 7) for ticket in range(20)], "the older ones were superseded"
    assert relay.delivery_status(answers[0].json()["journal_id"]) == "superseded"
    assert relay.delivery_status(answers[20].json()["journal_id"]) == "delivered"


def test_readiness_and_metrics_show_the_journal(relay: Relay, redis: RedisServer) -> None:
    relay.start_web(processes=1)
    wait_until(lambda: relay.check("journal")["status"] == "pass", "the journal is ready")
    redis.send(signal.SIGKILL)
    for ticket in range(3):
        relay.post({"sys_id": sys_id(ticket), **RESOLVED})

    wait_until(lambda: relay.check("redis")["status"] == "warn", "readiness warns about Redis")

    answer = ready(relay)
    [journal] = answer.json()["checks"]["journal"]
    assert (answer.status_code, answer.json()["status"]) == (200, "warn")
    assert (journal["status"], journal["observedValue"]) == ("warn", 3)
    metrics = requests.get(f"{relay.url}/metrics", timeout=5).text
    assert "\nrelay_journal_entries 3.0\n" in metrics
    assert "\nrelay_journal_up 1.0\n" in metrics
    assert 'relay_webhooks_total{integration="acme",result="journaled"} 3.0' in metrics
    redis.start()
    wait_until(lambda: relay.check("journal")["status"] == "pass", "the journal is drained")
    metrics = requests.get(f"{relay.url}/metrics", timeout=5).text
    assert 'relay_journal_drained_total{integration="acme",result="queued"} 3.0' in metrics


def test_a_hanging_redis_is_answered_from_the_journal_in_time(relay: Relay, redis: RedisServer) -> None:
    relay.start_web()
    relay.post({"sys_id": sys_id(0), **RESOLVED})
    redis.send(signal.SIGSTOP)

    began = time.monotonic()
    answer = relay.post({"sys_id": sys_id(1), **RESOLVED})
    took = time.monotonic() - began

    assert (answer.status_code, answer.json()["status"]) == (202, "journaled")
    assert took < 2
    asked = f"{relay.url}/webhooks/acme/deliveries/{answer.json()['journal_id']}"
    found = requests.get(asked, auth=("sn", WEBHOOK_PASSWORD), timeout=5).json()
    assert found["delivery_status"] == "journaled"
    redis.send(signal.SIGCONT)
    wait_until(lambda: pending(redis) == 2, "both updates are queued once")


def test_invalid_webhooks_are_refused_while_redis_is_unavailable(relay: Relay, redis: RedisServer) -> None:
    relay.start_web()
    redis.send(signal.SIGKILL)

    stranger = relay.post({"sys_id": sys_id(0), **RESOLVED}, auth=("sn", "wrong"))
    not_json = relay.post("{")
    unmapped = relay.post({"state": "6"})
    ignored = relay.post({"sys_id": sys_id(0), "state": "2"})
    batch = relay.post([{"state": "6"}, {"sys_id": sys_id(1), **RESOLVED}])

    assert [stranger.status_code, not_json.status_code, unmapped.status_code] == [401, 400, 422]
    assert (ignored.status_code, ignored.json()["status"]) == (202, "journaled")
    assert (batch.status_code, batch.json()["status"]) == (202, "journaled")
    redis.start()
    wait_until(lambda: pending(redis) == 1, "the good record of the batch is queued")
    connection = Connection(redis.url, timeout=5)
    assert connection.call("EXISTS", f"relay:{{acme}}:r:{unmapped.json()['rejection_id']}") == 1
    wait_until(
        lambda: relay.delivery_status(batch.json()["journal_id"]) == "queued", "the delivery has left the journal"
    )


def test_a_full_journal_answers_503_and_is_not_ready(relay: Relay, redis: RedisServer) -> None:
    relay.environ["RELAY_JOURNAL_MAX"] = "4MiB"
    relay.start_web(processes=1)
    redis.send(signal.SIGKILL)
    batch = [{"sys_id": sys_id(number), **RESOLVED, "number": "INC" + "x" * 250} for number in range(300)]

    answers = [relay.post(batch).status_code for _ in range(80)]

    assert answers[0] == 202
    assert answers[-1] == 503
    assert set(answers) == {202, 503}
    wait_until(lambda: ready(relay).status_code == 503, "readiness fails")
    assert "RELAY_JOURNAL_MAX" in relay.check("journal")["output"]
    redis.start()
    wait_until(lambda: pending(redis) == 300, "accepted updates are queued once", patience=40)


def test_web_starts_with_a_full_journal_and_drains_it(relay: Relay, redis: RedisServer) -> None:
    relay.environ["RELAY_JOURNAL_MAX"] = "4MiB"
    web = relay.start_web(processes=1)
    redis.send(signal.SIGKILL)
    batch = [{"sys_id": sys_id(number), **RESOLVED, "number": "INC" + "x" * 250} for number in range(300)]
    wait_until(lambda: relay.post(batch).status_code == 503, "the journal is full")
    kill_all(web)

    relay.start_web(processes=1)
    redis.start()

    wait_until(lambda: pending(redis) == 300, "accepted updates are queued", patience=40)


def test_killing_a_draining_web_process_loses_and_repeats_nothing(relay: Relay, redis: RedisServer) -> None:
    web = relay.start_web()
    redis.send(signal.SIGKILL)
    tickets = range(3_000)
    for first in tickets[::100]:
        batch = [{"sys_id": sys_id(ticket), **RESOLVED} for ticket in range(first, first + 100)]
        assert relay.post(batch).status_code == 202

    redis.start()
    wait_until(lambda: pending(redis) > 0, "web drains the journal")
    kill_all(web)
    drained = pending(redis)
    relay.start_web()
    wait_until(lambda: pending(redis) == len(tickets), "the rest is drained")

    assert drained < len(tickets), "the kill came too late: the test shows nothing"
    connection = Connection(redis.url, timeout=5)
    assert connection.call("XLEN", "relay:{acme}:queue") == len(tickets)


def test_web_does_not_start_with_an_unwritable_journal(relay: Relay, tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")

    web = relay._start([sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{relay.port}", "wsgi:app"], "web")

    assert web.popen.wait(20) == 78
    assert web.log.startswith("RELAY_JOURNAL: the folder ")
