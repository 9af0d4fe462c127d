"""A worker that sleeps past its lease (a paused machine, say): what it settles afterwards comes too late, and does no harm."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from harness import Process, mapping, sys_id, wait_until, write_mapping
from load import STATES, told, update

from relay.simulators.faults import SimulatedFault
from relay.store.connection import Connection

if TYPE_CHECKING:
    from end_to_end.conftest import Site

pytestmark = pytest.mark.slow

#: The mapping's `max_in_flight`.
TICKETS = 8


def test_a_worker_that_sleeps_past_its_lease_settles_nothing_and_works_on(site: Site) -> None:
    write_mapping(site.relay.mappings, "acme", mapping(site.server.url, states=STATES, iem={"timeout": "500ms"}))
    site.relay.start_web()
    sleeper = site.relay.start_worker()
    site.server.faults.add(SimulatedFault(delay=0.4, path="/gbp/push/"))
    for ticket in range(TICKETS):
        site.relay.post(update(ticket, 1))
    wait_until(lambda: site.server.record.in_flight == TICKETS, "all are on their way")

    sleeper.popen.send_signal(signal.SIGSTOP)
    site.wait_for_pushes(TICKETS)
    site.server.faults.clear()
    stand_in = site.relay.start_worker()
    wait_until(lambda: len(statuses(stand_in)) == TICKETS, "another worker takes them over", patience=30)
    for ticket in range(TICKETS):
        site.relay.post(update(ticket, 2))
    wait_until(lambda: len(statuses(stand_in)) == 2 * TICKETS, "newer states are delivered")
    sleeper.popen.send_signal(signal.SIGCONT)
    wait_until(lambda: len(statuses(sleeper)) >= TICKETS, "the sleeper settles")
    assert stand_in.stop(signal.SIGTERM) == 0
    site.relay.post(update(TICKETS, 1))
    site.wait_for_pushes(TICKETS + 1)

    assert statuses(sleeper)[:TICKETS] == ["stale"] * TICKETS
    assert statuses(stand_in) == ["delivered"] * 2 * TICKETS
    found = told(site.iem.pushes)
    assert found.states == {sys_id(ticket): [1, 1, 2] for ticket in range(TICKETS)} | {sys_id(TICKETS): [1]}
    redis = Connection(site.redis.url, timeout=5)
    wait_until(lambda: redis.call("ZCARD", "relay:{acme}:in:delivered") == 2 * TICKETS + 1, "all are settled")
    assert redis.call("XLEN", "relay:{acme}:queue") == 0


def statuses(worker: Process) -> list[str]:
    """Return what became of each delivery that `worker` attempted, in order."""
    return [line["delivery_status"] for line in worker.logged if line["message"] == "attempt"]
