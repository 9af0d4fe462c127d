"""A worker that is paused beyond its leases (with its machine, for example) settles too late, which does no harm."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from harness import Process, mapping, sys_id, wait_until, write_mapping
from load import STATES, applied_states, update

from relay.simulators.faults import SimulatedFault
from relay.store.connection import Connection

if TYPE_CHECKING:
    from end_to_end.conftest import Site

pytestmark = pytest.mark.slow

#: The mapping's `max_in_flight`.
TICKETS = 8


def test_a_paused_worker_settles_nothing_and_continues(site: Site) -> None:
    write_mapping(site.relay.mappings, "acme", mapping(site.server.url, states=STATES, iem={"timeout": "500ms"}))
    site.relay.start_web()
    paused = site.relay.start_worker()
    site.server.faults.add(SimulatedFault(delay=0.4, path="/gbp/push/"))
    for ticket in range(TICKETS):
        site.relay.post(update(ticket, 1))
    wait_until(lambda: site.server.request_log.in_flight == TICKETS, "all pushes are in progress")

    paused.popen.send_signal(signal.SIGSTOP)
    site.wait_for_pushes(TICKETS)
    site.server.faults.clear()
    other = site.relay.start_worker()
    wait_until(lambda: len(statuses(other)) == TICKETS, "another worker takes over", patience=30)
    for ticket in range(TICKETS):
        site.relay.post(update(ticket, 2))
    wait_until(lambda: len(statuses(other)) == 2 * TICKETS, "newer states are delivered")
    paused.popen.send_signal(signal.SIGCONT)
    wait_until(lambda: len(statuses(paused)) >= TICKETS, "the paused worker settles")
    assert other.stop(signal.SIGTERM) == 0
    site.relay.post(update(TICKETS, 1))
    site.wait_for_pushes(TICKETS + 1)

    assert statuses(paused)[:TICKETS] == ["stale"] * TICKETS
    assert statuses(other) == ["delivered"] * 2 * TICKETS
    applied = applied_states(site.iem.pushes)
    assert applied.states == {sys_id(ticket): [1, 1, 2] for ticket in range(TICKETS)} | {sys_id(TICKETS): [1]}
    redis = Connection(site.redis.url, timeout=5)
    wait_until(
        lambda: redis.call("ZCARD", "relay:{acme}:in:delivered") == 2 * TICKETS + 1, "all deliveries are settled"
    )
    assert redis.call("XLEN", "relay:{acme}:queue") == 0


def statuses(worker: Process) -> list[str]:
    """Return the status after each attempt that `worker` logged, in order."""
    return [line["delivery_status"] for line in worker.logged if line["message"] == "attempt"]
