"""Upgrades without a gap: web and workers are restarted one after another while updates arrive. A second signal ends a worker."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import Process, free_port, mapping, sys_id, wait_until, write_mapping
from load import STATES, Load, applied_states, steady_load

from relay.simulators.faults import SimulatedFault
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats

if TYPE_CHECKING:
    from end_to_end.conftest import Site

pytestmark = pytest.mark.slow

#: Tickets that are sent between two restarts.
BETWEEN = 25


def test_a_reload_of_gunicorn_loses_and_repeats_nothing(site: Site) -> None:
    allow_all_states(site)
    web = site.relay.start_web()
    site.relay.start_worker()

    with steady_load([site.relay]) as load:
        for _ in range(2):
            wait_for_more(load)
            before = children_of(web)
            web.popen.send_signal(signal.SIGHUP)
            wait_until(lambda before=before: len(children_of(web) - before) >= 2, "new processes run")  # type: ignore[misc]
            wait_until(lambda before=before: not children_of(web) & before, "the old processes have ended")  # type: ignore[misc]
            wait_for_more(load)

    assert load.refusals == {}
    expect_each_once(site, load)


def test_restarting_two_web_servers_in_turn_loses_and_repeats_nothing(site: Site) -> None:
    allow_all_states(site)
    relays = [site.relay, replace(site.relay, port=free_port())]
    webs = [relay.start_web() for relay in relays]
    site.relay.start_worker()

    with steady_load(relays) as load:
        for relay, web in zip(relays, webs[:], strict=True):
            wait_for_more(load)
            assert web.stop(signal.SIGTERM) == 0
            wait_for_more(load)
            webs.append(relay.start_web())
            wait_for_more(load)

    assert "503" not in load.refusals
    expect_each_once(site, load)
    assert [web.stop(signal.SIGTERM) for web in webs] == [0] * 4
    assert list(site.relay.folder.glob("relay-metrics-*")) == []


def test_restarting_two_workers_in_turn_loses_and_repeats_nothing(site: Site) -> None:
    allow_all_states(site)
    site.relay.start_web()
    workers = [site.relay.start_worker() for _ in range(2)]
    site.server.faults.add(SimulatedFault(delay=0.05, path="/gbp/push/"))

    with steady_load([site.relay]) as load:
        for worker in workers:
            wait_until(lambda worker=worker: '"attempt"' in worker.log, "the worker delivers")  # type: ignore[misc]
            assert worker.stop(signal.SIGTERM) == 0
            site.relay.start_worker()
            wait_for_more(load)

    expect_each_once(site, load)


def test_a_second_signal_ends_a_worker_at_once_and_loses_nothing(site: Site) -> None:
    allow_all_states(site, timeout="500ms")
    site.relay.start_web()
    worker = site.relay.start_worker()

    with steady_load([site.relay]) as load:
        wait_for_more(load)
        site.server.faults.add(SimulatedFault(delay=0.45, path="/gbp/push/"))
        wait_until(lambda: site.server.request_log.in_flight >= 8, "pushes are in flight")
        stop_at_once(worker)
        left = site.server.request_log.in_flight
        site.server.faults.clear()
        site.relay.start_worker()
        wait_for_more(load)

    assert worker.popen.returncode == 1
    assert left > 0
    wait_until_settled(site)
    applied = applied_states(site.iem.pushes)
    assert applied.missing(load.tickets) == []
    assert applied.backwards == []
    assert applied.repeats <= 8  # pushes in flight: IEM applied them, and the worker did not settle them


def allow_all_states(site: Site, **iem: str) -> None:
    write_mapping(site.relay.mappings, "acme", mapping(site.server.url, states=STATES, iem=iem))


def children_of(web: Process) -> set[str]:
    pid = web.popen.pid
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split())


def wait_for_more(load: Load) -> None:
    enough = len(load.tickets) + BETWEEN
    wait_until(lambda: len(load.tickets) >= enough, f"{BETWEEN} more tickets are posted")


def stop_at_once(worker: Process) -> None:
    """Send SIGTERM repeatedly, a few milliseconds apart: signals that arrive together count as one."""

    def has_ended() -> bool:
        worker.popen.send_signal(signal.SIGTERM)
        return worker.popen.poll() is not None

    wait_until(has_ended, "the worker ends", patience=0.5)


def wait_until_settled(site: Site) -> None:
    heartbeats = Heartbeats(Connection(site.redis.url, timeout=5))
    wait_until(lambda: heartbeats.backlogs(["acme"])[0].pending == 0, "all deliveries are settled", patience=30)


def expect_each_once(site: Site, load: Load) -> None:
    wait_until_settled(site)
    applied = applied_states(site.iem.pushes)
    assert applied.missing(load.tickets) == []
    assert applied.backwards == []
    assert applied.repeats == 0
    assert set(applied.states) == set(map(sys_id, load.tickets))
