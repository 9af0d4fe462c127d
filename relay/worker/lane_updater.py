"""Updates the lanes of a worker process after a mapping file or a secret file has changed."""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.integration import Integration
from relay.core.mapping_blocks import IemBlock, VirimaBlock
from relay.errors import SecretMissingError
from relay.http.access import read_access
from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.mapping_audit import MappingAudit
from relay.secrets import SecretReader
from relay.worker.lane_factory import LaneFactory
from relay.worker.lookups import Lookups
from relay.worker.loop import Worker
from relay.worker.publishing import Publisher


@dataclass(frozen=True, slots=True)
class _Configuration:
    """An integration, and for each service the digest of its block and secrets, or the error if a secret is missing."""

    integration: Integration
    iem: str
    virima: str
    has_all_secrets: bool


class LaneUpdater:
    """Updates the lanes for deliveries, lookups and publications. Its methods are called by one thread at a time."""

    def __init__(
        self,
        catalogue: Catalogue,
        secrets: SecretReader,
        lanes: LaneFactory,
        worker: Worker,
        lookups: Lookups,
        publisher: Publisher,
        audit: MappingAudit,
    ) -> None:
        """`worker` has the lanes of the current `catalogue`; `lookups` and `publisher` do not have lanes yet."""
        self.lookups = lookups
        self.publisher = publisher
        self.audit = audit
        self._catalogue = catalogue
        self._secrets = secrets
        self._lanes = lanes
        self._worker = worker
        self._current = self._read()
        #: Integrations that lacked a secret at the previous read, and had all of them before.
        self._lost_secrets: set[str] = set()
        integrations = [configuration.integration for configuration in self._current.values()]
        lookups.replace_lanes(lanes.lookups(integrations))
        publisher.update_lanes(lanes.publications(integrations), ())

    def refresh(self, *, is_catalogue_changed: bool) -> None:
        """Read the secret files again, and update the lanes. A changed catalogue is also recorded in the audit trail."""
        self._update_lanes()
        if is_catalogue_changed:
            self.audit.write()

    def _update_lanes(self) -> None:
        wanted = self._tolerate_missing_secrets(self._read())
        changed = [new.integration for name, new in wanted.items() if self._current.get(name) != new]
        removed = self._current.keys() - wanted.keys()
        if changed or removed:
            lookups = self._lanes.lookups([new.integration for new in wanted.values()])
            self._worker.update_lanes(self._lanes.deliveries(changed), removed)
            self.lookups.replace_lanes(lookups)
            publications = self._lanes.publications(changed)
            self.publisher.update_lanes(publications, {*removed, *(integration.name for integration in changed)})
        self._current = wanted

    def _tolerate_missing_secrets(self, wanted: dict[str, _Configuration]) -> dict[str, _Configuration]:
        """Keep the current configuration where a secret is missing for the first time: perhaps its file is being replaced."""
        lost = {name for name, new in wanted.items() if _has_lost_secrets(self._current.get(name), new)}
        tolerated, self._lost_secrets = lost - self._lost_secrets, lost
        return {name: self._current[name] if name in tolerated else new for name, new in wanted.items()}

    def _read(self) -> dict[str, _Configuration]:
        enabled = (integration for integration in self._catalogue.usable() if integration.enabled)
        return {integration.name: self._configuration(integration) for integration in enabled}

    def _configuration(self, integration: Integration) -> _Configuration:
        (iem, has_iem), (virima, has_virima) = map(self._digest, (integration.iem, integration.virima))
        return _Configuration(integration, iem, virima, has_iem and has_virima)

    def _digest(self, block: IemBlock | VirimaBlock | None) -> tuple[str, bool]:
        """Return the digest of a service's block and secrets and True, or the error and False if a secret is missing."""
        if block is None:
            return "", True
        try:
            return read_access(block, self._secrets).digest, True
        except SecretMissingError as error:
            return str(error), False


def _has_lost_secrets(before: _Configuration | None, now: _Configuration) -> bool:
    """Return whether the only difference is a missing secret."""
    if before is None or now.has_all_secrets:
        return False
    return before.has_all_secrets and before.integration == now.integration
