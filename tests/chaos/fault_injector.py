"""Random faults for a running relay: killed processes, a worker paused beyond its lease, and an IEM that fails in many ways."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness import Process, RedisServer, Relay, wait_until

from relay.clock import now_ms
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import PUSH_PATH
from relay.store.circuit import Circuit
from relay.store.connection import Connection

#: How long a worker is paused (seconds). The lease is 8 s, and other workers look for expired leases every 5 s.
PAUSE = (8.5, 14.0)
OUTAGE = (0.2, 2.0)
#: How long IEM works after an outage (seconds), so that kills also happen while deliveries succeed.
BETWEEN_OUTAGES = 3.0
#: A working IEM answers slowly, so that faults hit pushes in flight.
WORKS = SimulatedFault(delay=0.04, path=PUSH_PATH)
#: Maximum number of pushes in flight: the mapping's `max_in_flight` for each of two workers.
MAX_IN_FLIGHT = 16
#: Failures of IEM in which it does not apply the push …
NOT_APPLIED = {
    "iem refuses": SimulatedFault(status=503),
    "iem fails": SimulatedFault(status=500),
    "iem throttles": SimulatedFault(status=429, headers={"Retry-After": "1"}),
    "iem shows a page": SimulatedFault(status=200, body="<html>log in</html>", content_type="text/html"),
    "iem resets": SimulatedFault(drop="before"),
    "iem hangs": SimulatedFault(delay=3600, drop="before"),
}
#: … and failures in which it does, but the answer does not arrive. Each such push is repeated.
APPLIED = {"iem applies and resets": SimulatedFault(drop="after"), "iem applies and hangs": SimulatedFault(drip=3600)}
#: Returns the worker of each taken delivery; empty while there is no consumer group.
_OWNERS = """
local found, taken = redis.pcall('XPENDING', KEYS[1], 'workers', '-', '+', 1000), {}
for index, entry in ipairs(found) do taken[index] = entry[2] end
return taken
"""


@dataclass(slots=True)
class Outage:
    """An IEM that is down until `ends_at` (monotonic seconds)."""

    kind: str
    ends_at: float
    #: How many pushes IEM had answered before.
    answered: int


@dataclass(slots=True)
class FaultInjector:
    """Injects faults into web, two workers, Redis and IEM, and counts them. At most one worker is paused at a time.

    A kill of Redis allows no repeated push, because workers keep the results of their attempts until Redis answers again.
    """

    relay: Relay
    redis: RedisServer
    server: SimulatorServer
    chance: random.Random
    injected: Counter[str] = field(default_factory=Counter)
    #: How many pushes may be repeated: not settled when their worker failed, or applied by IEM without an answer.
    allowed_repeats: int = 0
    outage: Outage | None = None
    #: No outage of IEM begins earlier (monotonic seconds).
    next_outage_at: float = 0.0
    paused: Process | None = None
    resumes_at: float = 0.0
    #: All workers that were paused.
    were_paused: list[Process] = field(default_factory=list)

    def inject(self) -> None:
        """Inject one random fault, and end faults that have lasted long enough."""
        self.recover()
        weights: dict[Callable[[], str | None], int] = {
            self._kill_worker: 6,
            self._pause_worker: 4,
            self._kill_redis: 4,
            self._kill_web_process: 4,
            self._kill_web: 1,
            self._take_iem_down: 8,
        }
        [inject_fault] = self.chance.choices([*weights], [*weights.values()])
        if kind := inject_fault():
            self.injected[kind] += 1

    def recover(self, *, everything: bool = False) -> None:
        """End the outage and the pause whose time has come. `everything`: end the outage now."""
        now = time.monotonic()
        if self.outage and (everything or now >= self.outage.ends_at):
            self._bring_iem_back(self.outage)
        if self.paused and now >= self.resumes_at:
            self.paused.popen.send_signal(signal.SIGCONT)
            self.paused = None

    def _kill_worker(self) -> str:
        worker = self.chance.choice([worker for worker in self._workers() if worker is not self.paused])
        self._freeze(worker)
        worker.stop(signal.SIGKILL)
        self.relay.start_worker()
        return "worker"

    def _pause_worker(self) -> str | None:
        workers = [worker for worker in self._workers() if '"attempt"' in worker.log]
        if self.paused or not workers:
            return None
        self.paused = self.chance.choice(workers)
        self._freeze(self.paused)
        self.were_paused.append(self.paused)
        self.resumes_at = time.monotonic() + self.chance.uniform(*PAUSE)
        return "pause"

    def _freeze(self, worker: Process) -> None:
        """Stop a worker where it is. Each delivery that it has taken and not settled may be pushed again."""
        worker.popen.send_signal(signal.SIGSTOP)
        owners = self._connection().call("EVAL", _OWNERS, 1, "relay:{acme}:queue")
        self.allowed_repeats += sum(f"-{worker.popen.pid}-" in consumer for consumer in owners)

    def _kill_redis(self) -> str:
        self.redis.send(signal.SIGKILL)
        self.redis.start()
        return "redis"

    def _kill_web_process(self) -> str:
        with suppress(ProcessLookupError):
            os.kill(int(self.chance.choice(_children(self._web()))), signal.SIGKILL)
        return "web process"

    def _kill_web(self) -> str:
        web = self._web()
        orphans = _children(web)
        web.stop(signal.SIGKILL)
        wait_until(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans),
            "the orphaned web processes have ended",
        )
        self.relay.start_web()
        return "web"

    def _take_iem_down(self) -> str | None:
        if self.outage or time.monotonic() < self.next_outage_at:
            return None
        kind = self.chance.choice([*NOT_APPLIED, *APPLIED, "iem away"])
        ends_at = time.monotonic() + self.chance.uniform(*OUTAGE)
        self.outage = Outage(kind, ends_at, self.server.request_log.count(PUSH_PATH))
        if kind == "iem away":
            self.server.stop()
            self.allowed_repeats += MAX_IN_FLIGHT
        else:
            self._set_iem((NOT_APPLIED | APPLIED)[kind])
        return kind

    def _bring_iem_back(self, outage: Outage) -> None:
        if outage.kind == "iem away":
            self.server.start()
        self._set_iem(WORKS)
        if outage.kind in APPLIED:
            self.allowed_repeats += self.server.request_log.count(PUSH_PATH) - outage.answered
        self.outage, self.next_outage_at = None, time.monotonic() + BETWEEN_OUTAGES
        # As an operator does: otherwise the test would mostly wait for the next probe.
        Circuit(self._connection()).resume("acme", actor="chaos", why="IEM is back", now=now_ms())

    def _set_iem(self, fault: SimulatedFault) -> None:
        self.server.faults.reset()
        self.server.faults.add(fault)

    def _connection(self) -> Connection:
        return Connection(self.redis.url, timeout=5)

    def _workers(self) -> list[Process]:
        return [process for process in self.relay.processes if _is_running(process, "worker")]

    def _web(self) -> Process:
        return next(process for process in self.relay.processes if _is_running(process, "web"))


def _is_running(process: Process, kind: str) -> bool:
    return process.name.startswith(kind) and process.popen.poll() is None


def _children(process: Process) -> list[str]:
    pid = process.popen.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
