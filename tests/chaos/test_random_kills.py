"""Real web, workers and Redis, struck at random moments while updates come in: what did IEM get?

RELAY_CHAOS_UPDATES (2,000) and RELAY_CHAOS_SEED set how many updates and which moments; the seed is printed. What is done is in
`blows`.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from chaos.blows import WORKS, Blows
from harness import RedisServer, Relay, iem_of, mapping, simulated_iem, wait_until, write_mapping
from load import STATES, VERSIONS, Load, told, update

from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats

pytestmark = pytest.mark.slow

UPDATES = int(os.environ.get("RELAY_CHAOS_UPDATES", "2000"))
SEED = int(os.environ.get("RELAY_CHAOS_SEED", "0")) or random.randrange(1, 10**6)
SENDERS = 6
#: Seconds at most: between two blows, and between two versions of a ticket, some of which are pushed before the next one comes.
BLOWS_APART, VERSIONS_APART = 1.2, 0.3


@pytest.fixture
def blows(tmp_path: Path) -> Iterator[Blows]:
    with simulated_iem() as server:
        redis = RedisServer(tmp_path).start()
        relay = Relay(tmp_path, redis.url)
        server.faults.add(WORKS)
        content = mapping(server.url, states=STATES, iem={"timeout": "1s"}, retry={"first": "50ms", "most": "500ms"})
        write_mapping(relay.mappings, "acme", content)
        relay.start_web()
        relay.start_worker()
        relay.start_worker()
        try:
            yield Blows(relay, redis, server, random.Random(SEED))
        finally:
            relay.stop()
            redis.stop()


@pytest.mark.timeout(300 + UPDATES // 10)
def test_nothing_is_lost_repeated_or_applied_in_the_wrong_order(
    blows: Blows, capsys: pytest.CaptureFixture[str]
) -> None:
    load, never = Load([blows.relay]), threading.Event()
    heartbeats = Heartbeats(Connection(blows.redis.url, timeout=5))
    began = time.monotonic()

    with ThreadPoolExecutor(SENDERS) as pool:
        sending = [pool.submit(send_share, load, share) for share in range(SENDERS)]
        while not all(one.done() for one in sending):
            never.wait(blows.chance.uniform(0.05, BLOWS_APART))
            blows.strike()
        for one in sending:
            one.result()
    iem = iem_of(blows.server)
    amid = len(iem.pushes)
    blows.recover(everything=True)

    def is_over() -> bool:
        blows.recover()
        return blows.sleeper is None and heartbeats.backlogs(["acme"])[0].pending == 0

    wait_until(is_over, "all of it is settled", patience=90)

    found = told(iem.pushes)
    with capsys.disabled():
        stale = sum(worker.log.count('"delivery_status": "stale"') for worker in blows.slept)
        print(f"\nchaos: seed {SEED}, {UPDATES} updates, {time.monotonic() - began:.0f} s, {dict(blows.struck)}")
        print(
            f"chaos: {len(iem.pushes)} pushes, {amid} amid the blows, {found.repeats} repeats, {blows.excusable} excusable"
        )
        print(f"chaos: {stale} settlements came too late, {len(found.missing(load.tickets))} tickets lost")
    assert len(load.tickets) == UPDATES // VERSIONS
    assert found.missing(load.tickets) == []
    assert found.backwards == []
    assert found.repeats <= blows.excusable


def send_share(load: Load, share: int) -> None:
    """Send every `SENDERS`-th ticket, some updates of it twice."""
    chance, never = random.Random(SEED * 100 + share), threading.Event()
    for ticket in range(share, UPDATES // VERSIONS, SENDERS):
        for version in range(1, VERSIONS + 1):
            load.send(ticket, version, never)
            if chance.random() < 0.1:
                with suppress(requests.RequestException):
                    load.relays[0].post(update(ticket, version), timeout=3)
            never.wait(chance.uniform(0, VERSIONS_APART))
        load.tickets.append(ticket)
