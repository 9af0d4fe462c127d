"""The number of pushes while IEM is down and updates keep arriving (no storms: docs/reference/guarantees-and-limits.md).

RELAY_OUTAGE_SECONDS (10) sets the duration of the outage, RELAY_OUTAGE_RATE (20) the updates per second and integration.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from end_to_end.conftest import Site
from harness import Process, iem_of, mapping, simulated_iem, sys_id, wait_until, write_mapping
from measures.backlog import incident

from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import PUSH_PATH

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SECONDS = float(os.environ.get("RELAY_OUTAGE_SECONDS", "10"))
RATE = int(os.environ.get("RELAY_OUTAGE_RATE", "20"))
MAX_PUSHES_PER_DELIVERY = 1.10
#: The waits between probes double: the last one is at most as long as the outage, plus the timeout of a probe (seconds).
RECOVERY = SECONDS + 20


@dataclass(slots=True)
class Outage:
    """An integration whose IEM `answers-503`, `hangs`, or is `away`."""

    name: str
    server: SimulatorServer
    accepted: set[str] = field(default_factory=set)

    def begin(self) -> None:
        match self.name:
            case "answers-503":
                self.server.faults.add(SimulatedFault(status=503))
            case "hangs":
                self.server.faults.add(SimulatedFault(delay=3600, drop="before"))
            case _:
                self.server.stop()

    def end(self) -> None:
        if self.name == "away":
            self.server.start()
        self.server.faults.clear()

    def pushed(self) -> list[str]:
        iem = iem_of(self.server)
        return [push.sysid for push in iem.pushes]


@pytest.fixture
def outages(site: Site) -> Iterator[list[Outage]]:
    """Three integrations, tested at the same time because they do not affect each other."""
    with ExitStack() as stack:
        found = [Outage(name, stack.enter_context(simulated_iem())) for name in ("answers-503", "hangs", "away")]
        for outage in found:
            write_mapping(site.relay.mappings, outage.name, mapping(outage.server.url))
        (site.relay.mappings / "acme.yaml").unlink()
        yield found


@pytest.mark.timeout(int(60 + 3 * SECONDS))
def test_an_outage_adds_at_most_a_tenth_to_the_number_of_pushes(
    site: Site, outages: list[Outage], capsys: pytest.CaptureFixture[str]
) -> None:
    site.relay.start_web()
    worker = site.relay.start_worker()
    stop = threading.Event()

    with ThreadPoolExecutor(len(outages)) as pool:
        sending = [pool.submit(send_steadily, site, outage, stop) for outage in outages]
        wait_until(lambda: all(len(outage.pushed()) > RATE for outage in outages), "updates are pushed")
        for outage in outages:
            outage.begin()
        stop.wait(SECONDS)
        for outage in outages:
            outage.end()
        stop.wait(1)
        stop.set()
        for future in sending:
            future.result()
    for outage in outages:
        wait_until(lambda outage=outage: outage.accepted <= set(outage.pushed()), "all are pushed", patience=RECOVERY)  # type: ignore[misc]
    wait_until(lambda: all_logged(worker, outages), "the last attempts are logged")

    for outage, count in zip(outages, attempts(worker, outages), strict=True):
        accepted = len(outage.accepted)
        with capsys.disabled():
            print(
                f"\noutage of {SECONDS:.0f} s, {outage.name}: {accepted} deliveries, {count} pushes, {count / accepted:.3f} each"
            )
        assert len(outage.pushed()) == accepted
        assert outage.name == "away" or outage.server.request_log.count(PUSH_PATH) == count
        assert count <= MAX_PUSHES_PER_DELIVERY * accepted


def all_logged(worker: Process, outages: list[Outage]) -> bool:
    """Return whether the worker has logged every push that reached IEM."""
    pairs = zip(outages, attempts(worker, outages), strict=True)
    return all(
        count >= max(len(outage.accepted), outage.server.request_log.count(PUSH_PATH)) for outage, count in pairs
    )


def send_steadily(site: Site, outage: Outage, stop: threading.Event) -> None:
    """Post `RATE` updates per second, each for a new ticket."""
    began, ticket = time.monotonic(), 0
    while not stop.wait(max(0.0, began + ticket / RATE - time.monotonic())):
        assert site.relay.post(incident(ticket), name=outage.name).status_code == 202
        outage.accepted.add(sys_id(ticket))
        ticket += 1


def attempts(worker: Process, outages: Sequence[Outage]) -> list[int]:
    """Return the number of attempts for each integration, from the log, because an IEM that is away cannot count them."""
    tried = Counter(line["integration"] for line in worker.logged if line["message"] == "attempt")
    return [tried[outage.name] for outage in outages]
