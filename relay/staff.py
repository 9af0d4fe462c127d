"""A worker process's lanes and lookups, kept as the mapping files and the secret files that they name say."""

from __future__ import annotations

from dataclasses import dataclass

from relay.access import read_access
from relay.bootstrap import (
    Foundation,
    build_lookups,
    build_mapping_notes,
    build_publisher,
    connect_worker,
    open_lookup_lanes,
    open_publishing_lanes,
)
from relay.core.integration import Iem, Integration, Virima
from relay.errors import SecretMissingError
from relay.lanes import open_lanes
from relay.mappings import Catalogue
from relay.worker import Worker


@dataclass(frozen=True, slots=True)
class _Terms:
    """An integration as its file says, and for each service a digest of how it is reached now, or what is missing for that."""

    integration: Integration
    iem: str
    virima: str
    #: Whether all of its secrets could be read.
    is_whole: bool


class Staff:
    """What delivers and looks up in this process. `look_again` and `bring_up_to_date` are called by one thread at a time."""

    def __init__(self, foundation: Foundation, catalogue: Catalogue, worker: Worker) -> None:
        self.foundation = foundation
        self.catalogue = catalogue
        self._worker = worker
        self._connection = connect_worker(foundation.settings)
        self._at_work = self._wanted()
        #: Whose secrets could not be read at the last look, for the first time.
        self._doubtful: set[str] = set()
        self.notes = build_mapping_notes(self._connection, catalogue)
        integrations = [one.integration for one in self._at_work.values()]
        self.lookups = build_lookups(foundation, integrations, self._connection)
        self.publisher = build_publisher(foundation, integrations, self._connection)

    def look_again(self, changed: bool) -> None:  # noqa: FBT001 - what a look at the mapping files found
        """Follow the mapping files, where they have changed, and the secret files that they name."""
        self._follow()
        if changed:
            self.notes.write()

    def bring_up_to_date(self) -> None:
        """Deliver and look up by what the mapping files say now, and have the trail tell of it."""
        self.look_again(changed=True)

    def _follow(self) -> None:
        wanted = self._give_benefit_of_doubt(self._wanted())
        changed = [one.integration for name, one in wanted.items() if self._at_work.get(name) != one]
        gone = self._at_work.keys() - wanted.keys()
        if changed or gone:
            integrations = [one.integration for one in wanted.values()]
            lookups = open_lookup_lanes(self.foundation, integrations, self._connection)
            self._worker.change(open_lanes(self.foundation, changed, self._connection), gone)
            self.lookups.replace(lookups)
            self.publisher.change(
                open_publishing_lanes(self.foundation, changed, self._connection),
                {*gone, *(one.name for one in changed)},
            )
        self._at_work = wanted

    def _give_benefit_of_doubt(self, wanted: dict[str, _Terms]) -> dict[str, _Terms]:
        """Return `wanted`, but for secrets that were there until now: who replaces a file may remove it for a moment."""
        lost = {name for name, one in wanted.items() if not one.is_whole and _has_lost(self._at_work.get(name), one)}
        doubtful, self._doubtful = lost - self._doubtful, lost
        return {name: self._at_work[name] if name in doubtful else one for name, one in wanted.items()}

    def _wanted(self) -> dict[str, _Terms]:
        return {one.name: self._terms(one) for one in self.catalogue.usable() if one.enabled}

    def _terms(self, integration: Integration) -> _Terms:
        (iem, iem_is_there), (virima, virima_is_there) = map(self._digest, (integration.iem, integration.virima))
        return _Terms(integration, iem, virima, iem_is_there and virima_is_there)

    def _digest(self, block: Iem | Virima | None) -> tuple[str, bool]:
        """Return the digest of a service's block and secrets, or what is missing; and whether nothing is."""
        if block is None:
            return "", True
        try:
            return read_access(block, self.foundation.secrets).digest, True
        except SecretMissingError as error:
            return str(error), False


def _has_lost(before: _Terms | None, now: _Terms) -> bool:
    """Tell whether nothing but secrets went away."""
    return before is not None and before.is_whole and before.integration == now.integration
