"""A worker process's lanes and lookups, kept as the mapping files and the secret files that they name say."""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.integration import IemBlock, Integration, VirimaBlock
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
class _Terms:
    """An integration as its file says, and for each service a digest of how it is reached now, or what is missing for that."""

    integration: Integration
    iem: str
    virima: str
    #: Whether all of its secrets could be read.
    is_whole: bool


class WorkerRuntime:
    """What delivers, looks up and publishes in this process. One thread at a time calls its methods."""

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
        """`worker` already has the lanes of `catalogue` as it is now; `lookups` and `publisher` have none yet."""
        self.lookups = lookups
        self.publisher = publisher
        self.audit = audit
        self._catalogue = catalogue
        self._secrets = secrets
        self._lanes = lanes
        self._worker = worker
        self._current = self._wanted()
        #: Integrations whose secrets were missing for the first time at the last look.
        self._doubtful: set[str] = set()
        integrations = [terms.integration for terms in self._current.values()]
        lookups.replace(lanes.lookups(integrations))
        publisher.change(lanes.publications(integrations), ())

    def look_again(self, changed: bool) -> None:  # noqa: FBT001 - what a look at the mapping files found
        """Follow the mapping files, where they have changed, and the secret files that they name."""
        self._follow()
        if changed:
            self.audit.write()

    def bring_up_to_date(self) -> None:
        """Deliver and look up by what the mapping files say now, and have the trail tell of it."""
        self.look_again(changed=True)

    def _follow(self) -> None:
        wanted = self._give_benefit_of_doubt(self._wanted())
        changed = [one.integration for name, one in wanted.items() if self._current.get(name) != one]
        gone = self._current.keys() - wanted.keys()
        if changed or gone:
            integrations = [one.integration for one in wanted.values()]
            lookups = self._lanes.lookups(integrations)
            self._worker.change(self._lanes.deliveries(changed), gone)
            self.lookups.replace(lookups)
            publishing = self._lanes.publications(changed)
            self.publisher.change(publishing, {*gone, *(integration.name for integration in changed)})
        self._current = wanted

    def _give_benefit_of_doubt(self, wanted: dict[str, _Terms]) -> dict[str, _Terms]:
        """Return `wanted`, but for secrets that were there until now: who replaces a file may remove it for a moment."""
        lost = {name for name, one in wanted.items() if not one.is_whole and _has_lost(self._current.get(name), one)}
        doubtful, self._doubtful = lost - self._doubtful, lost
        return {name: self._current[name] if name in doubtful else one for name, one in wanted.items()}

    def _wanted(self) -> dict[str, _Terms]:
        return {one.name: self._terms(one) for one in self._catalogue.usable() if one.enabled}

    def _terms(self, integration: Integration) -> _Terms:
        (iem, iem_is_there), (virima, virima_is_there) = map(self._digest, (integration.iem, integration.virima))
        return _Terms(integration, iem, virima, iem_is_there and virima_is_there)

    def _digest(self, block: IemBlock | VirimaBlock | None) -> tuple[str, bool]:
        """Return the digest of a service's block and secrets, or what is missing; and whether nothing is."""
        if block is None:
            return "", True
        try:
            return read_access(block, self._secrets).digest, True
        except SecretMissingError as error:
            return str(error), False


def _has_lost(before: _Terms | None, now: _Terms) -> bool:
    """Tell whether nothing but secrets went away."""
    return before is not None and before.is_whole and before.integration == now.integration
