"""What is done to a running relay at random: kills, a worker that sleeps past its lease, an IEM that fails in many ways."""

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

#: The lease is three timeouts of a second and 5 s; others look for leases that are over every 5 s. Seconds.
SLEEP = (8.5, 14.0)
OUTAGE = (0.2, 2.0)
#: For so long IEM works after an outage, that kills may hit deliveries that flow.
BETWEEN_OUTAGES = 3.0
#: An IEM that works takes its time, so that blows hit pushes in flight.
WORKS = SimulatedFault(delay=0.04, path=PUSH_PATH)
#: Pushes in flight at most: the mapping's `max_in_flight` of each of two workers.
IN_FLIGHT = 16
#: IEM applies nothing of what it is asked in these ways …
NOT_APPLIED = {
    "iem refuses": SimulatedFault(status=503),
    "iem fails": SimulatedFault(status=500),
    "iem throttles": SimulatedFault(status=429, headers={"Retry-After": "1"}),
    "iem shows a page": SimulatedFault(status=200, body="<html>log in</html>", content_type="text/html"),
    "iem resets": SimulatedFault(drop="before"),
    "iem hangs": SimulatedFault(delay=3600, drop="before"),
}
#: … and in these it does, but the answer never arrives, so that each push is repeated.
APPLIED = {"iem applies and resets": SimulatedFault(drop="after"), "iem applies and hangs": SimulatedFault(drip=3600)}
#: The worker of each delivery that is taken; none before the first one makes the group.
_TAKEN_BY = """
local found, taken = redis.pcall('XPENDING', KEYS[1], 'workers', '-', '+', 1000), {}
for index, entry in ipairs(found) do taken[index] = entry[2] end
return taken
"""


@dataclass(slots=True)
class Outage:
    """An IEM that is down until `ends_at` (monotonic seconds)."""

    kind: str
    ends_at: float
    #: How many pushes it had settled before.
    settled: int


@dataclass(slots=True)
class Blows:
    """Strikes web, two workers, Redis and IEM, and keeps count. One worker sleeps, and IEM is down in one way, at a time.

    A kill of Redis excuses no repeat: workers keep what their attempts came to until it is back.
    """

    relay: Relay
    redis: RedisServer
    server: SimulatorServer
    chance: random.Random
    struck: Counter[str] = field(default_factory=Counter)
    #: How many pushes may be repeated: not written down when their worker was struck, or applied by IEM without an answer.
    excusable: int = 0
    outage: Outage | None = None
    well_until: float = 0.0
    sleeper: Process | None = None
    wakes_at: float = 0.0
    slept: list[Process] = field(default_factory=list)

    def strike(self) -> None:
        """Do something at random, and end what has lasted long enough."""
        self.recover()
        weights: dict[Callable[[], str | None], int] = {
            self._kill_worker: 6,
            self._put_worker_to_sleep: 4,
            self._kill_redis: 4,
            self._kill_web_process: 4,
            self._kill_web: 1,
            self._take_iem_down: 8,
        }
        [blow] = self.chance.choices([*weights], [*weights.values()])
        if kind := blow():
            self.struck[kind] += 1

    def recover(self, *, everything: bool = False) -> None:
        """End an outage and wake a sleeping worker whose time has come; of `everything` the outage at once."""
        now = time.monotonic()
        if self.outage and (everything or now >= self.outage.ends_at):
            self._bring_iem_back(self.outage)
        if self.sleeper and now >= self.wakes_at:
            self.sleeper.popen.send_signal(signal.SIGCONT)
            self.sleeper = None

    def _kill_worker(self) -> str:
        worker = self.chance.choice([one for one in self._workers() if one is not self.sleeper])
        self._freeze(worker)
        worker.stop(signal.SIGKILL)
        self.relay.start_worker()
        return "worker"

    def _put_worker_to_sleep(self) -> str | None:
        workers = [one for one in self._workers() if '"attempt"' in one.log]
        if self.sleeper or not workers:
            return None
        self.sleeper = self.chance.choice(workers)
        self._freeze(self.sleeper)
        self.slept.append(self.sleeper)
        self.wakes_at = time.monotonic() + self.chance.uniform(*SLEEP)
        return "sleep"

    def _freeze(self, worker: Process) -> None:
        """Stop a worker where it is, and excuse what it had taken and not written down."""
        worker.popen.send_signal(signal.SIGSTOP)
        taken = self._connection().call("EVAL", _TAKEN_BY, 1, "relay:{acme}:queue")
        self.excusable += sum(f"-{worker.popen.pid}-" in consumer for consumer in taken)

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
            lambda: not any(Path(f"/proc/{one}").exists() for one in orphans),
            "web's processes see that they are orphans",
        )
        self.relay.start_web()
        return "web"

    def _take_iem_down(self) -> str | None:
        if self.outage or time.monotonic() < self.well_until:
            return None
        kind = self.chance.choice([*NOT_APPLIED, *APPLIED, "iem away"])
        ends_at = time.monotonic() + self.chance.uniform(*OUTAGE)
        self.outage = Outage(kind, ends_at, self.server.record.count(PUSH_PATH))
        if kind == "iem away":
            self.server.stop()
            self.excusable += IN_FLIGHT
        else:
            self._let_iem((NOT_APPLIED | APPLIED)[kind])
        return kind

    def _bring_iem_back(self, outage: Outage) -> None:
        if outage.kind == "iem away":
            self.server.start()
        self._let_iem(WORKS)
        if outage.kind in APPLIED:
            self.excusable += self.server.record.count(PUSH_PATH) - outage.settled
        self.outage, self.well_until = None, time.monotonic() + BETWEEN_OUTAGES
        # As an operator does: else most of the time would be spent waiting for the next probe.
        Circuit(self._connection()).resume("acme", actor="chaos", why="IEM is back", now=now_ms())

    def _let_iem(self, fault: SimulatedFault) -> None:
        self.server.faults.reset()
        self.server.faults.add(fault)

    def _connection(self) -> Connection:
        return Connection(self.redis.url, timeout=5)

    def _workers(self) -> list[Process]:
        return [one for one in self.relay.processes if _is_running(one, "worker")]

    def _web(self) -> Process:
        return next(one for one in self.relay.processes if _is_running(one, "web"))


def _is_running(process: Process, kind: str) -> bool:
    return process.name.startswith(kind) and process.popen.poll() is None


def _children(process: Process) -> list[str]:
    pid = process.popen.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
