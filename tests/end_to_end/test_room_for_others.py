"""Integrations with a slow IEM leave room in a worker for the others."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from harness import mapping, simulated_iem, sys_id, wait_until, write_mapping

from relay.simulators.faults import SimulatedFault

if TYPE_CHECKING:
    from end_to_end.conftest import Site


def test_two_integrations_with_slow_iems_do_not_delay_a_third(site: Site) -> None:
    with ExitStack() as stack:
        slow = {name: stack.enter_context(simulated_iem()) for name in ("alpha", "gamma")}
        for name, server in slow.items():
            server.faults.add(SimulatedFault(delay=3, path="/gbp/push/"))
            write_mapping(site.relay.mappings, name, mapping(server.url, iem={"timeout": "10s"}))
        site.relay.start_web()
        for name in slow:
            site.relay.post([{"sys_id": sys_id(ticket), "state": "6"} for ticket in range(100)], name=name)
        site.relay.start_worker()
        # One of 16 places is reserved for `acme`.
        wait_until(
            lambda: sum(server.request_log.in_flight for server in slow.values()) >= 15,
            "both use all their places",
        )

        began = time.monotonic()
        site.relay.post({"sys_id": sys_id(1), "state": "6"})
        site.wait_for_pushes(1)

        assert time.monotonic() - began < 1
