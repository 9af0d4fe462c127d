"""Integrations that Redis has deliveries of, while no mapping file tells how to deliver them: disabled, broken or removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from relay.core.orphan_reasons import OrphanReason
from relay.mapping_files.catalogue import Catalogue
from relay.store.circuit import Circuit
from relay.store.delivery_queue import DeliveryQueue
from relay.store.registry import Registry


class OrphanedIntegrations:
    """Sets such integrations aside. All methods raise `StoreUnavailableError`."""

    def __init__(
        self,
        catalogue: Catalogue,
        registry: Registry,
        circuit: Circuit,
        queue_of: Callable[[str], DeliveryQueue],
    ) -> None:
        self._catalogue = catalogue
        self._registry = registry
        self._circuit = circuit
        self._queue_of = queue_of
        self._missing: set[str] = set()

    def set_aside(self, now: int) -> Iterator[tuple[str, DeliveryQueue]]:
        """Park what nobody delivers for, and return these integrations' queues: they still want sweeping."""
        # Somebody may have emptied Redis since web said that there is something of them.
        self._registry.add(*(one.name for one in self._catalogue.usable() if one.enabled))
        for name, absence in self._look().items():
            self._circuit.set_aside(name, absence, now=now)
            yield name, self._queue_of(name)

    def forget(self, integration: str) -> None:
        """Forget an integration of which nothing is left."""
        self._registry.forget(integration)

    def _look(self) -> dict[str, OrphanReason]:
        found: dict[str, OrphanReason] = {}
        missing: set[str] = set()
        for name in sorted(self._registry.names()):
            file = self._catalogue.find(name)
            if file is None:
                missing.add(name)
            elif file.integration is None:
                found[name] = OrphanReason.UNUSABLE
            elif not file.integration.enabled:
                found[name] = OrphanReason.DISABLED
        found.update((name, OrphanReason.REMOVED) for name in self._gone_for_good(missing))
        return found

    def _gone_for_good(self, missing: set[str]) -> set[str]:
        """An editor replaces a file by removing it for a moment: two looks count. A folder without any file is a fault."""
        gone = {name for name in missing & self._missing if not self._catalogue.has_file_now(name)}
        self._missing = missing
        return gone if self._catalogue.files() else set()
