"""A load of updates of many tickets, each of which can be told from every other where it is pushed; and what IEM got of it."""

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

#: Of each ticket. Every version has a state of its own, so that a repeat and a step backwards can be seen in the pushes.
VERSIONS = 4
STATES = {str(version): str(version) for version in range(1, VERSIONS + 1)}


def update(ticket: int, version: int) -> dict[str, str]:
    """Return what the sender posts."""
    return {"sys_id": sys_id(ticket), "state": str(version), "sys_mod_count": str(version)}


@dataclass(slots=True)
class Load:
    """What senders post, to whichever of `relays` takes it, and the tickets of which all was accepted."""

    relays: Sequence[Relay]
    tickets: list[int] = field(default_factory=list)
    #: Why a post had to be repeated: a status, or the kind of failure.
    refusals: Counter[str] = field(default_factory=Counter)

    def send_ticket(self, ticket: int, stop: threading.Event) -> None:
        """Post all versions of a ticket, each until it is accepted."""
        for version in range(1, VERSIONS + 1):
            self.send(ticket, version, stop)
        self.tickets.append(ticket)

    def send(self, ticket: int, version: int, stop: threading.Event) -> None:
        """Post an update as a sender does that tries again on 503 and on no answer, then at the next relay."""
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
    """Post one ticket after another with each of `senders`, until the block is left."""
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
        for one in sending:
            one.result()


@dataclass(frozen=True, slots=True)
class Told:
    """What IEM was told: per ticket, the states in the order in which it applied them."""

    states: dict[str, list[int]]

    @property
    def repeats(self) -> int:
        """How many pushes told what had been told before."""
        return sum(len(states) - len(set(states)) for states in self.states.values())

    @property
    def backwards(self) -> list[str]:
        """The tickets of which an older state was told after a newer one."""
        return [ticket for ticket, states in self.states.items() if states != sorted(states)]

    def missing(self, tickets: Iterable[int]) -> list[str]:
        """Return those of `tickets` whose newest state is not the last one told."""
        return [name for name in map(sys_id, tickets) if self.states.get(name, [0])[-1] != VERSIONS]


def told(pushes: Iterable[Push]) -> Told:
    """Return what IEM was told by `pushes`."""
    states: dict[str, list[int]] = defaultdict(list)
    for push in pushes:
        states[push.sysid].append(push.state)
    return Told(states)
