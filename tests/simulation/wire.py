"""The line between a process of the relay and Redis: calls and answers get lost, some are carried out twice, or late."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Protocol

from simulation.stage import Crash, Process, Stage

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection

#: How long Redis can take for an answer (ms).
SLOWEST = 2_000
#: How long a call can be under way that nobody waits for any more (ms).
LATEST = 10_000
#: The keys with a life that Redis's own clock would end.
_MORTAL = (":token", ":token:lock")
#: The server's clock is not the simulation's: the relay's own terms are kept here instead (ms).
_LONG = 3_600_000


class Fate(Enum):
    """What becomes of a call."""

    FAILS = "not carried out, and the caller is told"
    LOST = "carried out, but the caller is told that Redis is away"
    TWICE = "carried out twice, as by a client that tries again"
    LATE = "carried out after the caller was told that Redis is away"
    SLOW = "carried out at once, answered late"
    DIES_BEFORE = "the process dies before it"
    DIES_AFTER = "the process dies before it sees the answer"


class Witness(Protocol):
    """Who sees every script that Redis carries out, and what it answers."""

    def see(self, script: str, key: str, arguments: Sequence[str | int], run: Callable[[], Any]) -> Any:
        """Return what `run` does, and remember it."""


class Terms:
    """When keys expire, by the simulation's clock."""

    def __init__(self, stage: Stage, server: Connection) -> None:
        self._stage = stage
        self._server = server
        self._ends: dict[str, int] = {}

    def call(self, *command: Any) -> Any:
        """Return Redis's answer to a command."""
        key = str(command[3] if command[0] == "EVAL" else command[1])
        if not key.endswith(_MORTAL):
            return self._server.call(*command)
        if self._stage.now >= self._ends.get(key, self._stage.now + 1):
            self._server.call("DEL", key)
            del self._ends[key]
        if not isinstance(command[-1], int):
            return self._server.call(*command)
        answer = self._server.call(*command[:-1], _LONG)
        if answer:
            self._ends[key] = self._stage.now + command[-1]
        return answer


class Wire(Connection):
    """One process's connection. `doom` decides on the fate of a call to come."""

    def __init__(self, stage: Stage, process: Process, server: Connection, terms: Terms, witness: Witness) -> None:
        super().__init__("redis://nowhere", timeout=1)
        self._stage = stage
        self._process = process
        self._server = server
        self._terms = terms
        self._witness = witness
        self._doom: tuple[int, Fate] | None = None
        #: How many calls had a fate.
        self.faults = 0

    def doom(self, fate: Fate, calls: int) -> None:
        """Have it that after so many more calls one has `fate`."""
        self._doom = (calls, fate)

    def spare(self) -> None:
        """Let nothing happen any more."""
        self._doom = None

    def call(self, *command: Any) -> Any:
        """Return the answer to a command, as its fate has it."""
        if command[0] == "CONFIG":
            return ["appendfsync", "always"]
        return self._meet(lambda: self._terms.call(*command))

    def run(self, script: str, key: str, arguments: Sequence[str | int]) -> Any:
        """Return the answer of a script, as its fate has it."""
        return self._meet(
            lambda: self._witness.see(script, key, arguments, lambda: self._server.run(script, key, arguments))
        )

    def _meet(self, carry_out: Callable[[], Any]) -> Any:
        self._stage.pause(earliest=0, latest=self._stage.now + SLOWEST)
        if self._process.is_dead:
            raise Crash
        fate = self._fate()
        self.faults += fate is not None
        match fate:
            case None:
                return carry_out()
            case Fate.FAILS:
                raise _away()
            case Fate.LOST:
                carry_out()
                raise _away()
            case Fate.TWICE:
                carry_out()
                return carry_out()
            case Fate.LATE:
                self._stage.at(self._stage.now + LATEST, lambda: _ignore(carry_out))
                raise _away()
            case Fate.SLOW:
                answer = carry_out()
                self._stage.pause(earliest=0, latest=self._stage.now + SLOWEST)
                return answer
            case Fate.DIES_BEFORE:
                self._process.is_dead = True
            case Fate.DIES_AFTER:
                carry_out()
                self._process.is_dead = True
        raise Crash

    def _fate(self) -> Fate | None:
        if self._doom is None:
            return None
        calls, fate = self._doom
        self._doom = None if calls == 0 else (calls - 1, fate)
        return fate if calls == 0 else None


def _ignore(carry_out: Callable[[], Any]) -> None:
    carry_out()


def _away() -> StoreUnavailableError:
    return StoreUnavailableError("Redis: the simulation has it that it is away")
