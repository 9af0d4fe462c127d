"""What Redis carried out, in the order in which it did; and what DESIGN section 4 says the answers had to be.

The verdict is worked out a second time here, from the design's table: plain, slow, and without a look at the scripts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from simulation.stage import expect

from relay.store.connection import Connection, pairs

#: The shortest waits between two probes (ms).
_DOWN_PROBE, _REFUSED_PROBE, _FIRST_PROBE = 5_000, 30_000, {"wrong_credentials": 300_000}
_DEAD = {"dead", "discarded"}
_PENDING = {"queued", "retrying"}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A delivery as it was accepted."""

    id: str
    integration: str
    sys_id: str
    iem_state: int
    verdict: str
    #: The how-manieth of its integration's.
    place: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What two updates are compared by."""

    version: Decimal | None
    updated_at: int | None
    received_at: int

    def is_older_than(self, other: Mark) -> bool:
        """Tell which is older, by the first that both have."""
        if self.version is not None and other.version is not None:
            return self.version < other.version
        if self.updated_at is not None and other.updated_at is not None:
            return self.updated_at < other.updated_at
        return self.received_at < other.received_at

    def raised_by(self, other: Mark) -> Mark:
        """Return the highest of everything."""
        versions = [one for one in (self.version, other.version) if one is not None]
        dates = [one for one in (self.updated_at, other.updated_at) if one is not None]
        return Mark(max(versions, default=None), max(dates, default=None), max(self.received_at, other.received_at))


@dataclass(slots=True)
class Ticket:
    """What is known of a ticket."""

    mark: Mark | None = None
    state: int | None = None
    last: str | None = None
    #: Delivery, and until when.
    identities: dict[str, tuple[str, int]] = field(default_factory=dict)


class Book:
    """One integration's webhooks."""

    def __init__(self, integration: str, status_of: Callable[[str], tuple[str, str]]) -> None:
        """`status_of` tells a delivery's status and place."""
        self.integration = integration
        self.accepted: dict[str, Accepted] = {}
        self.tickets: dict[str, Ticket] = {}
        #: An operator does not want anything pushed.
        self.is_parked_by_hand = False
        #: No probe comes before (Unix ms).
        self.probed_again_at = 0
        self._replays: dict[str, str] = {}
        self._status_of = status_of
        #: What the records before, of the same webhook, have done to deliveries.
        self._done: dict[str, tuple[str, str]] = {}

    def newest(self, sys_id: str) -> Accepted | None:
        """Return the delivery of a ticket that was accepted last."""
        found = [one for one in self.accepted.values() if one.sys_id == sys_id and one.verdict == "queued"]
        return max(found, key=lambda one: one.place, default=None)

    def decide_all(self, records: Sequence[dict[str, Any]], now: int) -> list[str]:
        """Return the verdicts that a webhook's records must get, flat as the script's answer is."""
        self._done.clear()
        answer: list[str] = []
        for record in records:
            match record["kind"]:
                case "relay":
                    answer += self._decide(record, now)
                case "ignore":
                    self._ignore(record)
                    answer += ["ignored", ""]
                case _:
                    answer += ["rejected", record["id"]]
        return answer

    def note_probes(self, settled: Sequence[dict[str, Any]], now: int) -> None:
        """After a probe that failed comes none for a while: the shorter, the sooner the reason can be over."""
        for one in settled:
            is_refused = one["outcome"] == "park"
            if one.get("probe") and (is_refused or one.get("speaks_of_iem")):
                wait = _FIRST_PROBE.get(one["reason"], _REFUSED_PROBE) if is_refused else _DOWN_PROBE
                self.probed_again_at = now + wait

    def _decide(self, record: dict[str, Any], now: int) -> tuple[str, str]:
        an_id, sys_id, state, identity = (record[name] for name in ("id", "sys_id", "iem_state", "identity"))
        if first := self.accepted.get(an_id):
            return first.verdict, an_id
        ticket, mark = self.tickets.setdefault(sys_id, Ticket()), _mark_of(record)
        known, until = ticket.identities.get(identity, ("", 0))
        letter = record.get("replay_of")
        if letter and (hindrance := self._hindrance(letter)):
            return hindrance, letter
        if letter:
            self._replays[letter], self._done[letter] = an_id, ("discarded", "")
        elif known and (self._status(known) in _PENDING or (self._status(known) not in _DEAD and now < until)):
            return "duplicate", known
        if ticket.mark and mark.is_older_than(ticket.mark):
            ticket.identities[identity] = (an_id, now + record["window"])
            return self._accept(record, "superseded")
        ticket.mark = ticket.mark.raised_by(mark) if ticket.mark else mark
        last = ticket.last
        is_same = not letter and record["collapse"] and last is not None and ticket.state == state
        if is_same and last and self._status(last) in {*_PENDING, "delivered"}:
            ticket.identities[identity] = (last, now + record["window"])
            return "duplicate", last
        if last and self._status(last) in _PENDING and self._place(last) != "flight":
            self._done[last] = ("superseded", "")
        ticket.identities[identity], ticket.state, ticket.last = (an_id, now + record["window"]), state, an_id
        return self._accept(record, "queued")

    def _hindrance(self, letter: str) -> str | None:
        """Return what keeps a dead letter from being replayed."""
        if not self._status(letter):
            return "unknown"
        if letter in self._replays and self._status(self._replays[letter]) in _PENDING:
            return "pending"
        return None if self._status(letter) == "dead" else "closed"

    def _accept(self, record: dict[str, Any], verdict: str) -> tuple[str, str]:
        an_id, place = record["id"], len(self.accepted)
        accepted = Accepted(an_id, self.integration, record["sys_id"], record["iem_state"], verdict, place)
        self.accepted[an_id] = accepted
        self._done[an_id] = (verdict, "queue")
        return verdict, an_id

    def _ignore(self, record: dict[str, Any]) -> None:
        ticket = self.tickets.get(record["sys_id"])
        if ticket is None or ticket.mark is None or _mark_of(record).is_older_than(ticket.mark):
            return
        ticket.state = None
        ticket.identities = {one: known for one, known in ticket.identities.items() if one.split(":")[1][0] in "vu"}

    def _status(self, an_id: str) -> str:
        return (self._done.get(an_id) or self._status_of(an_id))[0]

    def _place(self, an_id: str) -> str:
        return (self._done.get(an_id) or self._status_of(an_id))[1]


class Ledger:
    """Sees every script that Redis carries out."""

    def __init__(self, server: Connection) -> None:
        self._server = server
        self.books: dict[str, Book] = {}
        #: Deliveries and fences of the attempts that were written down, or came too late for that.
        self.settled: set[tuple[str, str]] = set()
        #: Those that came in time.
        self.in_time: set[tuple[str, str]] = set()

    def book(self, integration: str) -> Book:
        """Return an integration's book."""
        if integration not in self.books:
            self.books[integration] = Book(integration, lambda an_id: self._look_up(integration, an_id))
        return self.books[integration]

    def see(self, script: str, key: str, arguments: Sequence[str | int], run: Callable[[], Any]) -> Any:
        """Return what `run` does; a verdict or an assignment that may not be breaks the run off."""
        book = self.book(key[key.index("{") + 1 : key.index("}")])
        if script == "accept":
            due = book.decide_all([json.loads(str(text)) for text in arguments[2:]], int(arguments[0]))
            answer = run()
            expect(answer == due, f"the verdict is the design's: {answer} is not {due}")
            return answer
        if script == "settle":
            settled = [json.loads(str(text)) for text in arguments[2:]]
            leased = [self._has_lease(book.integration, one["id"], one["fence"]) for one in settled]
            answer = run()
            self.settled |= {(one["id"], one["fence"]) for one in settled}
            expect(leased == [status != "stale" for status in answer], "an attempt counts while its lease lasts, once")
            counted = [one for one, status in zip(settled, answer, strict=True) if status != "stale"]
            self.in_time |= {(one["id"], one["fence"]) for one in counted}
            if counted and counted[-1]["outcome"] == "park":
                parked = self._server.call("HGET", f"relay:{{{book.integration}}}:circuit", "reason")
                expect(parked, "a refusal of the account parks")
            book.note_probes(counted, int(arguments[0]))
            return answer
        answer = run()
        if script == "circuit":
            book.is_parked_by_hand = arguments[1] == "park"
            book.probed_again_at = 0
        if script == "take":
            expect(len(answer) == 2 or not book.is_parked_by_hand, "an integration that is parked by hand rests")
            is_probe = len(answer) > 2 and answer[2][5] in {1, "1"}
            expect(
                not answer[0] or len(answer) <= 2 + is_probe,
                "of a parked integration one probe at a time is handed out",
            )
            expect(not is_probe or int(arguments[0]) >= book.probed_again_at, "probes keep their distance")
            for an_id, _, sys_id, *_ in answer[2:]:
                expect(book.newest(sys_id) == book.accepted[an_id], "only a ticket's newest delivery is handed out")
        if script == "reclaim":
            expect(answer[2] == 0, "no entry of the queue goes missing")
        return answer

    def _has_lease(self, integration: str, an_id: str, fence: str) -> bool:
        held, place = self._server.call("HMGET", f"relay:{{{integration}}}:d:{an_id}", "fence", "place")
        return bool(place == "flight" and held == fence)

    def _look_up(self, integration: str, an_id: str) -> tuple[str, str]:
        found = self._server.run("find", f"relay:{{{integration}}}:queue", [0, an_id])
        record = pairs(found[0][1]) if found else {}
        return record.get("status", ""), record.get("place", "")


def _mark_of(record: dict[str, Any]) -> Mark:
    return Mark(_version_of(record), record.get("updated_at"), record["received_at"])


def _version_of(record: dict[str, Any]) -> Decimal | None:
    if (version := record.get("version")) is not None:
        return Decimal(version)
    if (spelt := record.get("version_key")) is None:
        return None
    # An ignored record says it in the store's own spelling alone: sign, three digits for the length of the whole part, digits.
    whole = 4 + int(spelt[1:4])
    return Decimal(f"{spelt[4:whole]}.{spelt[whole:]}")
