"""Integrations that have deliveries in Redis, but no usable mapping: disabled, invalid or removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from relay.core.orphan_reasons import OrphanReason
from relay.mapping_files.catalogue import Catalogue
from relay.store.circuit import Circuit
from relay.store.delivery_queue import DeliveryQueue
from relay.store.registry import Registry


class OrphanedIntegrations:
    """Parks orphaned integrations. All methods raise `StoreUnavailableError`."""

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
        #: Integrations that had no mapping file at the previous check.
        self._missing: set[str] = set()

    def park(self, now: int) -> Iterator[tuple[str, DeliveryQueue]]:
        """Park every orphaned integration, and return its queue, which still needs sweeping. `now` in Unix milliseconds."""
        # The registry may have lost names: perhaps Redis was emptied since web registered them.
        self._registry.add(*(integration.name for integration in self._catalogue.usable() if integration.enabled))
        for name, reason in self._find().items():
            self._circuit.set_aside(name, reason, now=now)
            yield name, self._queue_of(name)

    def forget(self, integration: str) -> None:
        """Forget an integration that has no records left."""
        self._registry.forget(integration)

    def _find(self) -> dict[str, OrphanReason]:
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
        found.update((name, OrphanReason.REMOVED) for name in self._removed(missing))
        return found

    def _removed(self, missing: set[str]) -> set[str]:
        """Return the integrations whose file is missing for the second time, because some editors replace a file in two steps.

        A folder without any file is a fault, and removes nothing.
        """
        removed = {name for name in missing & self._missing if not self._catalogue.has_file_now(name)}
        self._missing = missing
        return removed if self._catalogue.files() else set()
