"""A reference model of the store. It observes the scripts that Redis executes, and checks their answers.

It decides on every record a second time, by the rules of docs/mapping-files/ordering-and-deduplication.md: simply, slowly, and
independently of the Lua scripts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from simulation.scheduler import require

from relay.store.connection import Connection, pairs

#: Minimum waits between two probes (ms).
_DOWN_PROBE, _REFUSED_PROBE, _FIRST_PROBE = 5_000, 30_000, {"wrong_credentials": 300_000}
_DEAD = {"dead", "discarded"}
_PENDING = {"queued", "retrying"}


@dataclass(frozen=True, slots=True)
class AcceptedDelivery:
    """A delivery at the time of its acceptance."""

    id: str
    integration: str
    sys_id: str
    iem_state: int
    verdict: str
    #: Its number among the deliveries of the integration.
    number: int


@dataclass(frozen=True, slots=True)
class Order:
    """What decides which of two updates is older."""

    version: Decimal | None
    updated_at: int | None
    received_at: int

    def is_older_than(self, other: Order) -> bool:
        """Compare by the first property that both updates have."""
        if self.version is not None and other.version is not None:
            return self.version < other.version
        if self.updated_at is not None and other.updated_at is not None:
            return self.updated_at < other.updated_at
        return self.received_at < other.received_at

    def combined_with(self, other: Order) -> Order:
        """Return the maximum of each property."""
        versions = [version for version in (self.version, other.version) if version is not None]
        dates = [date for date in (self.updated_at, other.updated_at) if date is not None]
        return Order(max(versions, default=None), max(dates, default=None), max(self.received_at, other.received_at))


@dataclass(slots=True)
class TicketModel:
    """The state of a ticket."""

    #: The maximum over its accepted updates.
    order: Order | None = None
    state: int | None = None
    last: str | None = None
    #: By identity: delivery, and when the identity expires (Unix ms).
    identities: dict[str, tuple[str, int]] = field(default_factory=dict)


class IntegrationModel:
    """The deliveries and tickets of one integration."""

    def __init__(self, integration: str, status_of: Callable[[str], tuple[str, str]]) -> None:
        """`status_of` returns the status and the place of a delivery in Redis."""
        self.integration = integration
        self.accepted: dict[str, AcceptedDelivery] = {}
        self.tickets: dict[str, TicketModel] = {}
        self.is_parked_by_hand = False
        #: The earliest time of the next probe (Unix ms).
        self.next_probe_at = 0
        self._replays: dict[str, str] = {}
        self._status_of = status_of
        #: Changes by earlier records of the same webhook: status and place, by delivery.
        self._changed: dict[str, tuple[str, str]] = {}

    def newest(self, sys_id: str) -> AcceptedDelivery | None:
        """Return the delivery of a ticket that was accepted last, if there is one."""
        queued = [each for each in self.accepted.values() if each.sys_id == sys_id and each.verdict == "queued"]
        return max(queued, key=lambda delivery: delivery.number, default=None)

    def decide_all(self, records: Sequence[dict[str, Any]], now: int) -> list[str]:
        """Return the verdicts on the records of a webhook, in the form of the script's answer."""
        self._changed.clear()
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
        """Note when the next probe may follow a failed one."""
        for attempt in settled:
            is_refused = attempt["outcome"] == "park"
            if attempt.get("probe") and (is_refused or attempt.get("speaks_of_iem")):
                wait = _FIRST_PROBE.get(attempt["reason"], _REFUSED_PROBE) if is_refused else _DOWN_PROBE
                self.next_probe_at = now + wait

    def _decide(self, record: dict[str, Any], now: int) -> tuple[str, str]:
        delivery_id, sys_id, state, identity = (record[name] for name in ("id", "sys_id", "iem_state", "identity"))
        if first := self.accepted.get(delivery_id):
            return first.verdict, delivery_id
        ticket, order = self.tickets.setdefault(sys_id, TicketModel()), _order_of(record)
        known, until = ticket.identities.get(identity, ("", 0))
        dead_letter = record.get("replay_of")
        if dead_letter and (obstacle := self._replay_obstacle(dead_letter)):
            return obstacle, dead_letter
        if dead_letter:
            self._replays[dead_letter], self._changed[dead_letter] = delivery_id, ("discarded", "")
        elif known and (self._status(known) in _PENDING or (self._status(known) not in _DEAD and now < until)):
            return "duplicate", known
        if ticket.order and order.is_older_than(ticket.order):
            ticket.identities[identity] = (delivery_id, now + record["window"])
            return self._accept(record, "superseded")
        ticket.order = ticket.order.combined_with(order) if ticket.order else order
        last = ticket.last
        is_same = not dead_letter and record["collapse"] and last is not None and ticket.state == state
        if is_same and last and self._status(last) in {*_PENDING, "delivered"}:
            ticket.identities[identity] = (last, now + record["window"])
            return "duplicate", last
        if last and self._status(last) in _PENDING and self._place(last) != "flight":
            self._changed[last] = ("superseded", "")
        ticket.identities[identity], ticket.state, ticket.last = (
            (delivery_id, now + record["window"]),
            state,
            delivery_id,
        )
        return self._accept(record, "queued")

    def _replay_obstacle(self, dead_letter: str) -> str | None:
        """Return the verdict if a dead letter cannot be replayed, or None."""
        if not self._status(dead_letter):
            return "unknown"
        if dead_letter in self._replays and self._status(self._replays[dead_letter]) in _PENDING:
            return "pending"
        return None if self._status(dead_letter) == "dead" else "closed"

    def _accept(self, record: dict[str, Any], verdict: str) -> tuple[str, str]:
        delivery_id, number, state = record["id"], len(self.accepted), record["iem_state"]
        delivery = AcceptedDelivery(delivery_id, self.integration, record["sys_id"], state, verdict, number)
        self.accepted[delivery_id] = delivery
        self._changed[delivery_id] = (verdict, "queue")
        return verdict, delivery_id

    def _ignore(self, record: dict[str, Any]) -> None:
        ticket = self.tickets.get(record["sys_id"])
        if ticket is None or ticket.order is None or _order_of(record).is_older_than(ticket.order):
            return
        ticket.state = None
        kept = {name: known for name, known in ticket.identities.items() if name.split(":")[1][0] in "vu"}
        ticket.identities = kept

    def _status(self, delivery_id: str) -> str:
        return (self._changed.get(delivery_id) or self._status_of(delivery_id))[0]

    def _place(self, delivery_id: str) -> str:
        return (self._changed.get(delivery_id) or self._status_of(delivery_id))[1]


class StoreOracle:
    """Observes every script that Redis executes."""

    def __init__(self, server: Connection) -> None:
        self._server = server
        self.integrations: dict[str, IntegrationModel] = {}
        #: Delivery and fence of each settled attempt, including those whose lease was lost.
        self.settled: set[tuple[str, str]] = set()
        #: Delivery and fence of each attempt that was settled during its lease.
        self.in_time: set[tuple[str, str]] = set()

    def integration(self, name: str) -> IntegrationModel:
        """Return the model of an integration."""
        if name not in self.integrations:
            self.integrations[name] = IntegrationModel(name, lambda delivery_id: self._status_of(name, delivery_id))
        return self.integrations[name]

    def observe(self, script: str, key: str, arguments: Sequence[str | int], run: Callable[[], Any]) -> Any:
        """Return the answer of `run`, after checking it. A wrong verdict or assignment ends the run."""
        model, now = self.integration(key[key.index("{") + 1 : key.index("}")]), int(arguments[0])
        match script:
            case "accept":
                return self._observe_accept(model, arguments[2:], now, run)
            case "settle":
                return self._observe_settle(model, arguments[2:], now, run)
        answer = run()
        match script:
            case "circuit":
                model.is_parked_by_hand = arguments[1] == "park"
                model.next_probe_at = 0
            case "take":
                self._check_take(model, answer, now)
            case "reclaim":
                require(answer[2] == 0, "no queue entry is missing")
        return answer

    def _observe_accept(
        self, model: IntegrationModel, records: Sequence[str | int], now: int, run: Callable[[], Any]
    ) -> Any:
        expected = model.decide_all([json.loads(str(text)) for text in records], now)
        answer = run()
        require(answer == expected, f"the verdicts are those of the model: {answer} is not {expected}")
        return answer

    def _observe_settle(
        self, model: IntegrationModel, settlements: Sequence[str | int], now: int, run: Callable[[], Any]
    ) -> Any:
        settled = [json.loads(str(text)) for text in settlements]
        leased = [self._has_lease(model.integration, attempt["id"], attempt["fence"]) for attempt in settled]
        answer = run()
        self.settled |= {(attempt["id"], attempt["fence"]) for attempt in settled}
        require(leased == [status != "stale" for status in answer], "an attempt counts once, during its lease")
        counted = [attempt for attempt, status in zip(settled, answer, strict=True) if status != "stale"]
        self.in_time |= {(attempt["id"], attempt["fence"]) for attempt in counted}
        if counted and counted[-1]["outcome"] == "park":
            parked = self._server.call("HGET", f"relay:{{{model.integration}}}:circuit", "reason")
            require(parked, "a refusal of the account parks the integration")
        model.note_probes(counted, now)
        return answer

    def _check_take(self, model: IntegrationModel, answer: Sequence[Any], now: int) -> None:
        parked, _, *assignments = answer
        require(not assignments or not model.is_parked_by_hand, "nothing is taken while parked by hand")
        is_probe = bool(assignments) and assignments[0][5] in {1, "1"}
        require(not parked or len(assignments) <= is_probe, "only one probe at a time is taken while parked")
        require(not is_probe or now >= model.next_probe_at, "probes keep their minimum distance")
        for delivery_id, _, sys_id, *_ in assignments:
            newest = model.newest(sys_id)
            require(newest == model.accepted[delivery_id], "only the newest delivery of a ticket is taken")

    def _has_lease(self, integration: str, delivery_id: str, fence: str) -> bool:
        held, place = self._server.call("HMGET", f"relay:{{{integration}}}:d:{delivery_id}", "fence", "place")
        return bool(place == "flight" and held == fence)

    def _status_of(self, integration: str, delivery_id: str) -> tuple[str, str]:
        found = self._server.run("find", f"relay:{{{integration}}}:queue", [0, delivery_id])
        record = pairs(found[0][1]) if found else {}
        return record.get("status", ""), record.get("place", "")


def _order_of(record: dict[str, Any]) -> Order:
    return Order(_version_of(record), record.get("updated_at"), record["received_at"])


def _version_of(record: dict[str, Any]) -> Decimal | None:
    if (version := record.get("version")) is not None:
        return Decimal(version)
    if (key := record.get("version_key")) is None:
        return None
    # An ignored record has the store's key alone: a sign, three digits for the length of the integer part, and the digits.
    end = 4 + int(key[1:4])
    return Decimal(f"{key[4:end]}.{key[end:]}")
