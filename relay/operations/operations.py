"""What operators see and do, for the API and for the commands alike: integrations, deliveries, rejections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.core.integration import Integration
from relay.core.orphan_reasons import OrphanReason
from relay.core.seal import Report, SealingKey, verify
from relay.core.values import format_time, parse_date_time
from relay.errors import RelayError
from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.folder import MappingFile
from relay.operations.replay import Replay, Replayed
from relay.store.circuit import Circuit, CircuitState
from relay.store.dead_letter_store import DeadLetterStore
from relay.store.delivery_reader import DeliveryPage, DeliveryQuery, DeliveryReader
from relay.store.heartbeats import Backlog, Heartbeats
from relay.store.registry import Registry
from relay.store.rejection_store import RejectionStore
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail, TrailQuery

#: The trail's ids are by the clock of Redis, a record's times by those of web and workers (ms).
_CLOCKS_DIFFER = 120_000
#: Of a long trail so many pages at most are looked through for one delivery.
_MOST_PAGES = 20


class UnknownError(RelayError):
    """There is no such integration, delivery or rejection."""


class HinderedError(RelayError):
    """What was asked for cannot be done as things stand; the message says why."""


@dataclass(frozen=True, slots=True)
class Operations:
    """All methods raise `StoreUnavailableError`; those that name one thing, `UnknownError`."""

    catalogue: Catalogue
    deliveries: DeliveryReader
    dead_letter_store: DeadLetterStore
    rejection_store: RejectionStore
    circuit: Circuit
    replay: Replay
    heartbeats: Heartbeats
    registry: Registry
    trail: Trail
    chain: SealChain
    now_ms: Callable[[], int]

    def names(self, integration: str | None = None) -> list[str]:
        """Return the integrations that a filter means: the one that it names, or all."""
        known = {*(file.name for file in self.catalogue.files()), *self.registry.names()}
        if integration is not None and integration not in known:
            raise UnknownError(f"there is no integration {integration[:64]}")
        return sorted(known) if integration is None else [integration]

    def integrations(self) -> list[dict[str, Any]]:
        """Return how every integration stands."""
        return [self._show(name) for name in self.names()]

    def integration(self, name: str) -> dict[str, Any]:
        """Return how one integration stands."""
        [name] = self.names(name)
        return self._show(name)

    def park(self, name: str, *, actor: str, why: str) -> dict[str, Any]:
        """Deliver nothing for an integration until somebody resumes it."""
        [name] = self.names(name)
        self.circuit.park(name, actor=actor, why=why, now=self.now_ms())
        return self.integration(name)

    def resume(self, name: str, *, actor: str, why: str) -> dict[str, Any]:
        """Let a parked integration go on: by a probe at once where IEM's refusal parked it."""
        [name] = self.names(name)
        state = self.circuit.read(name)
        if state and state.reason in set(OrphanReason):
            raise HinderedError(f"{name} {OrphanReason(state.reason).row.explanation}")
        before = self.circuit.resume(name, actor=actor, why=why, now=self.now_ms())
        [backlog] = self.heartbeats.backlogs([name])
        if before is None and backlog.virima_parked is None:
            raise HinderedError(f"{name} is not parked")
        return self.integration(name)

    def delivery(self, delivery_id: str) -> dict[str, Any]:
        """Return one delivery's record."""
        found = self.deliveries.locate(self.names(), delivery_id)
        if found is None:
            raise UnknownError(f"there is no delivery {delivery_id[:64]}")
        return found

    def story(self, delivery: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the audit records of one delivery, oldest first."""
        since = (parse_date_time(delivery["created_at"]) or 0) - _CLOCKS_DIFFER
        finished = parse_date_time(delivery["finished_at"]) if delivery["finished_at"] else None
        until = finished + _CLOCKS_DIFFER if finished and delivery["status"] != "dead" else None
        query, names = TrailQuery(delivery_id=delivery["id"], since=since, until=until), [delivery["integration"]]
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = self.trail.page(names, query, limit=100, cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            # The first of a delivery's records tells that it was accepted.
            if cursor is None or (found and found[-1]["type"] == "accepted"):
                break
        return found[::-1]

    def audit(self, integration: str | None, query: TrailQuery, *, limit: int, cursor: str | None) -> DeliveryPage:
        """Return some audit records, newest first."""
        return self.trail.page(self.names(integration), query, limit=limit, cursor=cursor)

    def verify(self, integration: str | None, keys: Sequence[SealingKey]) -> Iterator[Report]:
        """Check the trails in Redis against their seals, one integration after the other."""
        for name in self.names(integration):
            yield self._verify(name, keys)

    def _verify(self, name: str, keys: Sequence[SealingKey]) -> Report:
        while True:
            anchor = self.chain.anchor(name)
            report = verify(name, self.trail.walk_after(name, None), self.chain.seals(name), keys, anchor)
            # What was dropped while we read is not missing.
            if report.finding is None or self.chain.anchor(name) == anchor:
                return report

    def page(self, integration: str | None, query: DeliveryQuery, *, limit: int, cursor: str | None) -> DeliveryPage:
        """Return some deliveries, newest first."""
        return self.deliveries.page(self.names(integration), query, limit=limit, cursor=cursor)

    def replay_delivery(self, delivery_id: str, *, actor: str, as_mapped: bool = False) -> Replayed:
        """Replay one dead letter. HinderedError where it cannot be."""
        letter = self.delivery(delivery_id)
        replayed = self.replay.replay_letter(
            self._usable(letter["integration"]), letter, actor=actor, as_mapped=as_mapped
        )
        return _or_hindered(replayed, delivery_id)

    def dead_letters(self, integration: str | None, query: DeliveryQuery) -> Iterator[dict[str, Any]]:
        """Return the dead letters that a filter means, the oldest first: the order in which they are replayed."""
        yield from reversed(list(self.deliveries.walk(self.names(integration), query)))

    def discard_delivery(self, delivery_id: str, *, actor: str, why: str) -> dict[str, Any]:
        """Close one dead letter."""
        letter = self.delivery(delivery_id)
        if not self.dead_letter_store.discard(
            letter["integration"], [delivery_id], actor=actor, why=why, now=self.now_ms()
        ):
            raise HinderedError(f"{delivery_id}: it is not a dead letter (any more), but {letter['status']}")
        return self.delivery(delivery_id)

    def rejections(self, integration: str | None, *, limit: int, cursor: str | None) -> DeliveryPage:
        """Return some rejections, the last seen first."""
        return self.rejection_store.page(self.names(integration), limit=limit, cursor=cursor)

    def rejection(self, rejection_id: str) -> dict[str, Any]:
        """Return one rejection, with what was sent."""
        for name in self.names():
            if found := self.rejection_store.find(name, rejection_id):
                return found
        raise UnknownError(f"there is no rejection {rejection_id[:64]}")

    def replay_rejection(self, rejection_id: str, *, actor: str) -> Replayed:
        """Accept one rejection by today's mapping. HinderedError where that still does not map it."""
        rejection = self.rejection(rejection_id)
        replayed = self.replay.replay_rejection(self._usable(rejection["integration"]), rejection, actor=actor)
        return _or_hindered(replayed, rejection_id)

    def discard_rejection(self, rejection_id: str, *, actor: str, why: str) -> None:
        """Close one rejection."""
        name = self.rejection(rejection_id)["integration"]
        self.rejection_store.discard(name, [rejection_id], actor=actor, why=why, now=self.now_ms())

    def stats(self) -> dict[str, Any]:
        """Return the backlog of every integration, and the workers that were heard of."""
        backlogs = self.heartbeats.backlogs(self.names())
        workers = self.heartbeats.workers()
        return {
            "integrations": [{"integration": one.integration, **self._counts(one)} for one in backlogs],
            "workers": [{"worker": name, "last_heartbeat_at": format_time(at)} for name, at in workers.items()],
        }

    def _usable(self, name: str) -> Integration:
        file = self.catalogue.find(name)
        if file is None:
            raise HinderedError(f"there is no mapping file of {name}: put one there first")
        if file.integration is None:
            raise HinderedError(f"the mapping file of {name} has faults: mend it first")
        return file.integration

    def _show(self, name: str) -> dict[str, Any]:
        file, state = self.catalogue.find(name), self.circuit.read(name)
        one = file.integration if file else None
        [backlog] = self.heartbeats.backlogs([name])
        noted = self.trail.mapping_recorded_at(name)
        return {
            "name": name,
            "status": _standing(file, state),
            "reason": state.reason if state else None,
            "since": format_time(state.since) if state else None,
            "next_probe_at": format_time(state.next_probe_at) if state and state.next_probe_at else None,
            "parked_by": state.by if state else None,
            "parked_why": state.why if state else None,
            **self._counts(backlog),
            "source": one.source if one else None,
            "description": one.description if one else None,
            "iem_customer_id": one.iem.customer_id if one else None,
            "iem_integration_id": one.iem.integration_id if one else None,
            "mapping": one.digest if one else None,
            "file": str(file.path) if file else None,
            "faults": file.complaints() if file else [],
            "faults_since": format_time(noted) if file and file.faults and noted else None,
        }

    def _counts(self, backlog: Backlog) -> dict[str, Any]:
        return {
            "pending": backlog.pending,
            "oldest_pending_at": format_time(backlog.oldest) if backlog.oldest is not None else None,
            "retrying": backlog.retrying,
            "dead": backlog.dead,
            "rejections": backlog.rejections,
            "lookups_waiting": backlog.lookups,
            "lookups_parked": backlog.virima_parked,
        }


def _standing(file: MappingFile | None, state: CircuitState | None) -> str:
    if file is None:
        return "removed"
    if file.integration is None:
        return "broken"
    if not file.integration.enabled:
        return "disabled"
    return "parked" if state else "flowing"


def _or_hindered(replayed: Replayed, an_id: str) -> Replayed:
    if replayed.hindrance:
        raise HinderedError(f"{an_id}: {replayed.hindrance}")
    return replayed
