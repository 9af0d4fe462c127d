"""The connection of a simulated process to Redis, with fault injection: calls and answers are lost, repeated or late."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Protocol

from simulation.scheduler import Crash, Process, Scheduler

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection

#: Maximum time until Redis answers (ms).
SLOWEST = 2_000
#: Maximum delay of a call that its process has given up (ms).
LATEST = 10_000
#: The keys that expire by Redis's own clock.
_EXPIRING = (":token", ":token:lock")
#: The lifetime that Redis gets instead, because its clock is not the simulation's (ms).
_LONG = 3_600_000


class RedisFault(Enum):
    """What goes wrong with a call."""

    FAILS = "not executed; the process gets an error"
    LOST = "executed, but the process gets an error"
    TWICE = "executed twice, as by a client that retries"
    LATE = "executed after the process got an error"
    SLOW = "executed at once, and answered late"
    DIES_BEFORE = "the process dies before the call"
    DIES_AFTER = "the process dies before it gets the answer"


class Observer(Protocol):
    """Sees every script that Redis executes, and its answer."""

    def observe(self, script: str, key: str, arguments: Sequence[str | int], run: Callable[[], Any]) -> Any:
        """Return the answer of `run`, after checking it."""


class Expiry:
    """Expires keys by the clock of the simulation."""

    def __init__(self, scheduler: Scheduler, server: Connection) -> None:
        self._scheduler = scheduler
        self._server = server
        self._expires_at: dict[str, int] = {}

    def call(self, *command: Any) -> Any:
        """Return Redis's answer to a command."""
        key = str(command[3] if command[0] == "EVAL" else command[1])
        if not key.endswith(_EXPIRING):
            return self._server.call(*command)
        if self._scheduler.now >= self._expires_at.get(key, self._scheduler.now + 1):
            self._server.call("DEL", key)
            del self._expires_at[key]
        if not isinstance(command[-1], int):
            return self._server.call(*command)
        answer = self._server.call(*command[:-1], _LONG)
        if answer:
            self._expires_at[key] = self._scheduler.now + command[-1]
        return answer


class FaultyConnection(Connection):
    """The connection of one process. `inject` makes one of the next calls fail."""

    def __init__(
        self, scheduler: Scheduler, process: Process, server: Connection, expiry: Expiry, observer: Observer
    ) -> None:
        super().__init__("redis://nowhere", timeout=1)
        self._scheduler = scheduler
        self._process = process
        self._server = server
        self._expiry = expiry
        self._observer = observer
        #: Calls before the fault, and the fault.
        self._injected: tuple[int, RedisFault] | None = None
        #: The number of calls with a fault so far.
        self.faults = 0

    def inject(self, fault: RedisFault, after: int) -> None:
        """Inject `fault` into one call, `after` this many successful calls."""
        self._injected = (after, fault)

    def clear(self) -> None:
        """Drop the injected fault."""
        self._injected = None

    def call(self, *command: Any) -> Any:
        """Return the answer to a command, unless a fault is injected."""
        if command[0] == "CONFIG":
            return ["appendfsync", "always"]
        return self._execute(lambda: self._expiry.call(*command))

    def run(self, script: str, key: str, arguments: Sequence[str | int]) -> Any:
        """Return the answer of a script, unless a fault is injected."""
        return self._execute(
            lambda: self._observer.observe(script, key, arguments, lambda: self._server.run(script, key, arguments))
        )

    def _execute(self, command: Callable[[], Any]) -> Any:
        self._scheduler.pause(earliest=0, latest=self._scheduler.now + SLOWEST)
        if self._process.is_dead:
            raise Crash
        fault = self._next_fault()
        self.faults += fault is not None
        match fault:
            case None:
                return command()
            case RedisFault.FAILS:
                raise _away()
            case RedisFault.LOST:
                command()
                raise _away()
            case RedisFault.TWICE:
                command()
                return command()
            case RedisFault.LATE:
                self._scheduler.call_at(self._scheduler.now + LATEST, lambda: _ignore(command))
                raise _away()
            case RedisFault.SLOW:
                answer = command()
                self._scheduler.pause(earliest=0, latest=self._scheduler.now + SLOWEST)
                return answer
            case RedisFault.DIES_BEFORE:
                self._process.is_dead = True
            case RedisFault.DIES_AFTER:
                command()
                self._process.is_dead = True
        raise Crash

    def _next_fault(self) -> RedisFault | None:
        if self._injected is None:
            return None
        calls, fault = self._injected
        self._injected = None if calls == 0 else (calls - 1, fault)
        return fault if calls == 0 else None


def _ignore(command: Callable[[], Any]) -> None:
    command()


def _away() -> StoreUnavailableError:
    return StoreUnavailableError("Redis: away, by an injected fault")
