"""Operations on integrations: list, show, park, resume, and show the backlog of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from relay.core.integration import Integration
from relay.core.orphan_reasons import OrphanReason
from relay.core.values import format_time
from relay.errors import ConflictError, NotFoundError
from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.folder import MappingFile
from relay.store.circuit import Circuit, CircuitState
from relay.store.heartbeats import SILENT_AFTER, Backlog, Heartbeats
from relay.store.registry import Registry
from relay.store.trail import Trail


@dataclass(frozen=True, slots=True)
class IntegrationAdmin:
    """Every integration that has a mapping file, or data in Redis."""

    catalogue: Catalogue
    registry: Registry
    circuit: Circuit
    heartbeats: Heartbeats
    trail: Trail
    now_ms: Callable[[], int]

    def names(self, name: str | None = None) -> list[str]:
        """Return the names of all integrations, or `name` alone, after checking that it exists."""
        known = {*(file.name for file in self.catalogue.files()), *self.registry.names()}
        if name is not None and name not in known:
            raise NotFoundError(f"there is no integration {name[:64]}")
        return sorted(known) if name is None else [name]

    def show_all(self) -> list[dict[str, Any]]:
        """Return all integrations as JSON values."""
        return [self._as_json(name) for name in self.names()]

    def show(self, name: str) -> dict[str, Any]:
        """Return one integration as a JSON value."""
        [name] = self.names(name)
        return self._as_json(name)

    def park(self, name: str, *, actor: str, why: str) -> dict[str, Any]:
        """Stop deliveries of an integration until it is resumed by hand."""
        [name] = self.names(name)
        self.circuit.park(name, actor=actor, why=why, now=self.now_ms())
        return self.show(name)

    def resume(self, name: str, *, actor: str, why: str) -> dict[str, Any]:
        """Resume a parked integration. If it was not parked by hand, one delivery is sent as a probe at once.

        Raises:
            ConflictError: the integration is not parked, or its mapping file keeps it parked.
        """
        [name] = self.names(name)
        state = self.circuit.read(name)
        if state and state.reason in set(OrphanReason):
            raise ConflictError(f"the integration {name} {OrphanReason(state.reason).row.explanation}")
        before = self.circuit.resume(name, actor=actor, why=why, now=self.now_ms())
        [backlog] = self.heartbeats.backlogs([name])
        if before is None and backlog.virima_parked is None:
            raise ConflictError(f"the integration {name} is not parked")
        return self.show(name)

    def stats(self) -> dict[str, Any]:
        """Return the backlog of every integration, and each worker's last heartbeat."""
        backlogs = self.heartbeats.backlogs(self.names())
        workers = self.heartbeats.workers()
        return {
            "integrations": [{"integration": backlog.integration, **_counts(backlog)} for backlog in backlogs],
            "workers": [{"worker": name, "last_heartbeat_at": format_time(at)} for name, at in workers.items()],
        }

    def parking(self, name: str) -> CircuitState | None:
        """Return why an integration is parked, or None if it is not parked."""
        return self.circuit.read(name)

    def is_worker_running(self) -> bool:
        """Return whether a worker has sent a heartbeat recently."""
        youngest = self.heartbeats.youngest_beat()
        return youngest is not None and self.now_ms() - youngest <= SILENT_AFTER

    def mapping_file(self, name: str) -> MappingFile | None:
        """Return the mapping file of an integration, usable or not."""
        return self.catalogue.find(name)

    def usable(self, name: str) -> Integration:
        """Return an integration that can accept and deliver. Raises ConflictError if its mapping file prevents that."""
        file = self.catalogue.find(name)
        if file is None:
            raise ConflictError(f"the integration {name} has no mapping file: restore it first")
        if file.integration is None:
            raise ConflictError(f"the mapping file of {name} has faults: fix them first")
        return file.integration

    def _as_json(self, name: str) -> dict[str, Any]:
        file, state = self.catalogue.find(name), self.circuit.read(name)
        integration = file.integration if file else None
        [backlog] = self.heartbeats.backlogs([name])
        recorded_at = self.trail.mapping_recorded_at(name)
        return {
            "name": name,
            "status": _status(file, state),
            "reason": state.reason if state else None,
            "since": format_time(state.since) if state else None,
            "next_probe_at": format_time(state.next_probe_at) if state and state.next_probe_at else None,
            "parked_by": state.by if state else None,
            "parked_why": state.why if state else None,
            **_counts(backlog),
            "source": integration.source if integration else None,
            "description": integration.description if integration else None,
            "iem_customer_id": integration.iem.customer_id if integration else None,
            "iem_integration_id": integration.iem.integration_id if integration else None,
            "mapping": integration.digest if integration else None,
            "file": str(file.path) if file else None,
            "faults": file.formatted_faults() if file else [],
            "faults_since": format_time(recorded_at) if file and file.faults and recorded_at else None,
        }


def _counts(backlog: Backlog) -> dict[str, Any]:
    return {
        "pending": backlog.pending,
        "oldest_pending_at": format_time(backlog.oldest) if backlog.oldest is not None else None,
        "retrying": backlog.retrying,
        "dead": backlog.dead,
        "rejections": backlog.rejections,
        "lookups_waiting": backlog.lookups,
        "lookups_parked": backlog.virima_parked,
    }


def _status(file: MappingFile | None, state: CircuitState | None) -> str:
    if file is None:
        return "removed"
    if file.integration is None:
        return "broken"
    if not file.integration.enabled:
        return "disabled"
    return "parked" if state else "flowing"
