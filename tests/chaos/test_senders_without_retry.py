"""Senders that post each update once, as ServiceNow does, while Redis is killed and frozen: the journal keeps every update.

RELAY_CHAOS_UPDATES (2,000; this test sends half of them) sets the number of updates, and RELAY_CHAOS_SEED the random seed.
"""

from __future__ import annotations

import concurrent.futures
import os
import random
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from harness import RedisServer, Relay, iem_of, mapping, simulated_iem, sys_id, wait_until, write_mapping

from relay.intake.journal import Journal
from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("RELAY_CHAOS_SEED", "0")) or random.randrange(1, 10**6)
SENDERS, VERSIONS = 5, 4
TICKETS = int(os.environ.get("RELAY_CHAOS_UPDATES", "2000")) // 2 // VERSIONS
#: Each version has a different IEM state, so that a push shows its version.
STATES = {str(version): str(version) for version in range(1, VERSIONS + 1)}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Relay, RedisServer, SimulatorServer]]:
    with simulated_iem() as iem:
        redis = RedisServer(tmp_path).start()
        relay = Relay(tmp_path, redis.url, {"RELAY_JOURNAL": str(tmp_path / "journal")})
        write_mapping(relay.mappings, "acme", mapping(iem.url, states=STATES, iem={"timeout": "500ms"}))
        relay.start_web()
        relay.start_worker()
        try:
            yield relay, redis, iem
        finally:
            relay.stop()
            redis.stop()


def inject_fault(relay: Relay, redis: RedisServer, chance: random.Random) -> str:
    """Kill or freeze Redis for a while, or kill a web process."""
    match chance.choice(["killed", "frozen", "web"]):
        case "killed":
            redis.send(signal.SIGKILL)
            threading.Event().wait(chance.uniform(0.1, 1.0))
            redis.start()
            return "redis killed"
        case "frozen":
            redis.send(signal.SIGSTOP)
            threading.Event().wait(chance.uniform(0.5, 2.5))
            redis.send(signal.SIGCONT)
            return "redis frozen"
        case _:
            master = relay.processes[0].popen.pid
            children = Path(f"/proc/{master}/task/{master}/children").read_text("ascii").split()
            if children:
                os.kill(int(chance.choice(children)), signal.SIGKILL)
            return "web killed"


@pytest.mark.timeout(300)
def test_every_update_answered_2xx_is_delivered_without_a_second_post(
    site: tuple[Relay, RedisServer, SimulatorServer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    relay, redis, server = site
    chance = random.Random(SEED)
    answers: Counter[str] = Counter()
    accepted: dict[str, int] = {}
    faults: Counter[str] = Counter()

    def send(first: int) -> None:
        for ticket in range(first, TICKETS, SENDERS):
            for version in range(1, VERSIONS + 1):
                update = {"sys_id": sys_id(ticket), "state": str(version), "sys_mod_count": str(version)}
                try:
                    answer = relay.post(update, timeout=10)
                except requests.RequestException:
                    answers["none"] += 1  # its web process was killed before it answered
                    continue
                answers[f"{answer.status_code} {answer.json()['status']}"] += 1
                assert answer.status_code in {200, 202}, answer.text
                accepted[sys_id(ticket)] = version

    with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
        sending = [pool.submit(send, first) for first in range(SENDERS)]
        while not all(future.done() for future in sending):
            threading.Event().wait(chance.uniform(0.1, 1.0))
            faults[inject_fault(relay, redis, chance)] += 1
        for future in sending:
            future.result()
    journal = Journal(tmp_path / "journal", max_bytes=1 << 30)
    wait_until(lambda: not journal.integrations(), "the journal is drained", patience=60)
    journal.close()
    heartbeats = Heartbeats(Connection(redis.url, timeout=5))
    wait_until(lambda: heartbeats.backlogs(["acme"])[0].pending == 0, "all deliveries are settled", patience=60)

    pushed: dict[str, list[int]] = defaultdict(list)
    for push in iem_of(server).pushes:
        pushed[push.sysid].append(push.state)
    with capsys.disabled():
        pushes = len(iem_of(server).pushes)
        print(f"\nsenders without retry: seed {SEED}, {dict(answers)}, {dict(faults)}, {pushes} pushes")
    assert answers["202 journaled"] > 0, "the journal was not used: the test shows nothing"
    assert [ticket for ticket, version in accepted.items() if max(pushed[ticket], default=0) < version] == []
    assert [states for states in pushed.values() if states != sorted(states)] == []
