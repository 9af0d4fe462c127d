"""Faults at random moments while updates arrive: nothing is lost, repeated, or applied in the wrong order.

Real web, workers and Redis. RELAY_CHAOS_UPDATES (2,000) sets the number of updates, and RELAY_CHAOS_SEED the random seed, which
is printed. `fault_injector` has the faults.
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
from chaos.fault_injector import WORKS, FaultInjector
from harness import RedisServer, Relay, iem_of, mapping, simulated_iem, wait_until, write_mapping
from load import STATES, VERSIONS, Load, applied_states, update

from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats

pytestmark = pytest.mark.slow

UPDATES = int(os.environ.get("RELAY_CHAOS_UPDATES", "2000"))
SEED = int(os.environ.get("RELAY_CHAOS_SEED", "0")) or random.randrange(1, 10**6)
SENDERS = 6
#: Maximum time between two faults, and between two versions of a ticket (seconds). Some versions are pushed before the next.
FAULTS_APART, VERSIONS_APART = 1.2, 0.3


@pytest.fixture
def injector(tmp_path: Path) -> Iterator[FaultInjector]:
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
            yield FaultInjector(relay, redis, server, random.Random(SEED))
        finally:
            relay.stop()
            redis.stop()


@pytest.mark.timeout(300 + UPDATES // 10)
def test_nothing_is_lost_repeated_or_applied_out_of_order(
    injector: FaultInjector, capsys: pytest.CaptureFixture[str]
) -> None:
    load, never = Load([injector.relay]), threading.Event()
    heartbeats = Heartbeats(Connection(injector.redis.url, timeout=5))
    began = time.monotonic()

    with ThreadPoolExecutor(SENDERS) as pool:
        sending = [pool.submit(send_share, load, share) for share in range(SENDERS)]
        while not all(future.done() for future in sending):
            never.wait(injector.chance.uniform(0.05, FAULTS_APART))
            injector.inject()
        for future in sending:
            future.result()
    iem = iem_of(injector.server)
    pushed_before = len(iem.pushes)
    injector.recover(everything=True)

    def is_over() -> bool:
        injector.recover()
        return injector.paused is None and heartbeats.backlogs(["acme"])[0].pending == 0

    wait_until(is_over, "all deliveries are settled", patience=90)

    applied = applied_states(iem.pushes)
    with capsys.disabled():
        stale = sum(worker.log.count('"delivery_status": "stale"') for worker in injector.were_paused)
        print(f"\nchaos: seed {SEED}, {UPDATES} updates, {time.monotonic() - began:.0f} s, {dict(injector.injected)}")
        print(
            f"chaos: {len(iem.pushes)} pushes, {pushed_before} during the faults, "
            f"{applied.repeats} repeats, {injector.allowed_repeats} allowed"
        )
        print(f"chaos: {stale} settlements after the lease, {len(applied.missing(load.tickets))} tickets lost")
    assert len(load.tickets) == UPDATES // VERSIONS
    assert applied.missing(load.tickets) == []
    assert applied.backwards == []
    assert applied.repeats <= injector.allowed_repeats


def send_share(load: Load, share: int) -> None:
    """Send every `SENDERS`-th ticket, and some of its updates twice."""
    chance, never = random.Random(SEED * 100 + share), threading.Event()
    for ticket in range(share, UPDATES // VERSIONS, SENDERS):
        for version in range(1, VERSIONS + 1):
            load.send(ticket, version, never)
            if chance.random() < 0.1:
                with suppress(requests.RequestException):
                    load.relays[0].post(update(ticket, version), timeout=3)
            never.wait(chance.uniform(0, VERSIONS_APART))
        load.tickets.append(ticket)
