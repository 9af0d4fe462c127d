"""A load of updates of many tickets, and the pushes that IEM applied. Each update can be recognised in its push."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import requests
from harness import Relay, sys_id

from relay.simulators.simulated_iem import Push

#: Versions of each ticket. Each has a different state, so that the pushes show repeats and steps backwards.
VERSIONS = 4
STATES = {str(version): str(version) for version in range(1, VERSIONS + 1)}


def update(ticket: int, version: int) -> dict[str, str]:
    """Return the payload of an update."""
    return {"sys_id": sys_id(ticket), "state": str(version), "sys_mod_count": str(version)}


@dataclass(slots=True)
class Load:
    """Posts updates to `relays` in turn, and records the tickets whose updates were all accepted."""

    relays: Sequence[Relay]
    tickets: list[int] = field(default_factory=list)
    #: Why posts were repeated: the status, or the exception.
    refusals: Counter[str] = field(default_factory=Counter)

    def send_ticket(self, ticket: int, stop: threading.Event) -> None:
        """Post all versions of a ticket, and repeat each until it is accepted."""
        for version in range(1, VERSIONS + 1):
            self.send(ticket, version, stop)
        self.tickets.append(ticket)

    def send(self, ticket: int, version: int, stop: threading.Event) -> None:
        """Post an update like a sender that retries after 503 and after no answer, with the next relay."""
        for attempt in count(ticket):
            try:
                answer = self.relays[attempt % len(self.relays)].post(update(ticket, version), timeout=3)
            except requests.RequestException as error:
                self.refusals[type(error).__name__] += 1
            else:
                assert answer.status_code in {200, 202, 503}, answer.text
                if answer.status_code != 503:
                    return
                self.refusals["503"] += 1
            stop.wait(0.02)


@contextmanager
def steady_load(relays: Sequence[Relay], *, senders: int = 4) -> Iterator[Load]:
    """Post tickets with `senders` threads until the block ends."""
    load, stop = Load(relays), threading.Event()

    def send_tickets(first: int) -> None:
        for ticket in count(first, senders):
            if stop.is_set():
                return
            load.send_ticket(ticket, stop)

    with ThreadPoolExecutor(senders) as pool:
        sending = [pool.submit(send_tickets, first) for first in range(senders)]
        try:
            yield load
        finally:
            stop.set()
        for future in sending:
            future.result()


@dataclass(frozen=True, slots=True)
class AppliedStates:
    """The states that IEM applied, by ticket, in order."""

    states: dict[str, list[int]]

    @property
    def repeats(self) -> int:
        """The number of pushes that repeated an earlier one."""
        return sum(len(states) - len(set(states)) for states in self.states.values())

    @property
    def backwards(self) -> list[str]:
        """The tickets for which IEM applied an older state after a newer one."""
        return [ticket for ticket, states in self.states.items() if states != sorted(states)]

    def missing(self, tickets: Iterable[int]) -> list[str]:
        """Return those of `tickets` whose newest state was not applied last."""
        return [name for name in map(sys_id, tickets) if self.states.get(name, [0])[-1] != VERSIONS]


def applied_states(pushes: Iterable[Push]) -> AppliedStates:
    """Return the states that IEM applied with `pushes`."""
    states: dict[str, list[int]] = defaultdict(list)
    for push in pushes:
        states[push.sysid].append(push.state)
    return AppliedStates(states)
