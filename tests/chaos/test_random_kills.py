"""Real web, workers and Redis, killed at random moments while updates come in: what did IEM get?

RELAY_CHAOS_UPDATES (2,000) and RELAY_CHAOS_SEED set how many updates and which moments; the seed is printed.
"""

from __future__ import annotations

import concurrent.futures
import os
import random
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from harness import RedisServer, Relay, mapping, simulated_iem, sys_id, wait_until, write_mapping

from relay.simulators.faults import Fault
from relay.simulators.iem import Iem
from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection
from relay.store.pulse import Pulse

UPDATES = int(os.environ.get("RELAY_CHAOS_UPDATES", "2000"))
SEED = int(os.environ.get("RELAY_CHAOS_SEED", "0")) or random.randrange(1, 10**6)
SENDERS, VERSIONS = 6, 4
#: Versions alternate between two IEM states, so that an older push behind a newer one can be seen.
STATES = {"6": "6", "7": "7"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Relay, RedisServer, SimulatorServer]]:
    with simulated_iem() as iem:
        redis = RedisServer(tmp_path).start()
        relay = Relay(tmp_path, redis.url)
        content = mapping(iem.url, states=STATES, iem={"timeout": "500ms"}, retry={"first": "50ms", "most": "500ms"})
        write_mapping(relay.mappings, "acme", content)
        relay.start_web()
        relay.start_worker()
        relay.start_worker()
        try:
            yield relay, redis, iem
        finally:
            relay.stop()
            redis.stop()


def send(relay: Relay, ticket: int, version: int, chance: random.Random) -> None:
    """Post until it is accepted, as a sender does that tries again on 5xx and on no answer; now and then once more."""
    update = {"sys_id": sys_id(ticket), "state": "67"[version % 2], "sys_mod_count": str(version)}
    while True:
        with suppress(requests.RequestException):
            answer = relay.post(update, timeout=3)
            assert answer.status_code in {200, 202, 503}, answer.text
            if answer.status_code != 503:
                break
        threading.Event().wait(0.02)
    if chance.random() < 0.1:
        with suppress(requests.RequestException):
            relay.post(update, timeout=3)


def children_of(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()]


def kill_something(relay: Relay, redis: RedisServer, iem: SimulatorServer, chance: random.Random) -> str:
    match chance.choice(["worker", "worker", "redis", "web", "iem"]):
        case "worker":
            running = [one for one in relay.processes if one.name.startswith("worker") and one.popen.poll() is None]
            chance.choice(running).stop(signal.SIGKILL)
            relay.start_worker()
            return "worker"
        case "redis":
            redis.send(signal.SIGKILL)
            redis.start()
            return "redis"
        case "web":
            with suppress(ProcessLookupError):
                os.kill(chance.choice(children_of(relay.processes[0].popen.pid)), signal.SIGKILL)
            return "web"
        case _:
            iem.faults.add(
                Fault(status=chance.choice([500, 503, 429]), count=chance.randrange(1, 30), path="/gbp/push/")
            )
            return "iem"


@pytest.mark.timeout(400)
def test_nothing_is_lost_repeated_or_applied_in_the_wrong_order(
    site: tuple[Relay, RedisServer, SimulatorServer], capsys: pytest.CaptureFixture[str]
) -> None:
    relay, redis, server = site
    chance = random.Random(SEED)
    tickets = UPDATES // VERSIONS
    done = threading.Event()
    kills: dict[str, int] = defaultdict(int)

    def send_share(share: int) -> None:
        own = random.Random(SEED * 100 + share)
        for ticket in range(share, tickets, SENDERS):
            for version in range(1, VERSIONS + 1):
                send(relay, ticket, version, own)

    with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
        sending = [pool.submit(send_share, share) for share in range(SENDERS)]
        while not all(one.done() for one in sending):
            done.wait(chance.uniform(0.05, 0.5))
            kills[kill_something(relay, redis, server, chance)] += 1
        for one in sending:
            one.result()
    server.faults.clear()
    Connection(redis.url, timeout=5).call("HSET", "relay:{acme}:circuit", "probe_at", "0")
    pulse = Pulse(Connection(redis.url, timeout=5))
    wait_until(lambda: pulse.backlogs(["acme"])[0].pending == 0, "all of it is settled", patience=90)

    iem = server.service
    assert isinstance(iem, Iem)
    pushed: dict[str, list[int]] = defaultdict(list)
    for push in iem.pushes:
        pushed[push.sysid].append(push.state)
    repeats = sum(states[i] == states[i - 1] for states in pushed.values() for i in range(1, len(states)))
    with capsys.disabled():
        print(
            f"\nchaos: seed {SEED}, {UPDATES} updates, kills {dict(kills)}, {len(iem.pushes)} pushes, {repeats} repeats"
        )
    assert set(pushed) == {sys_id(ticket) for ticket in range(tickets)}
    newest = int("67"[VERSIONS % 2])
    assert [ticket for ticket, states in pushed.items() if states[-1] != newest] == []
    assert repeats <= 16 * sum(kills.values())
