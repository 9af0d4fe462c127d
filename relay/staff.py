"""A worker process's lanes and lookups, kept as the mapping files say: who is told when one of these has changed."""

from __future__ import annotations

import logging

from relay.bootstrap import Foundation, build_lookups, connect_worker, open_lookup_lanes
from relay.core.integration import Integration
from relay.core.mapping_file import NAME
from relay.errors import StoreUnavailableError
from relay.lanes import open_lanes
from relay.logs import log
from relay.mappings import Catalogue
from relay.store.trail import Trail
from relay.worker import Worker

_LOG = logging.getLogger("relay.worker")


class Staff:
    """What delivers and looks up in this process. `bring_up_to_date` is called by one thread at a time."""

    def __init__(self, foundation: Foundation, catalogue: Catalogue, worker: Worker) -> None:
        self.foundation = foundation
        self.catalogue = catalogue
        self._worker = worker
        self._connection = connect_worker(foundation.settings)
        self._at_work = self._wanted()
        self.lookups = build_lookups(foundation, self._at_work.values(), self._connection)

    def bring_up_to_date(self) -> None:
        """Deliver and look up by what the mapping files say now, and have the trail tell of it."""
        before, self._at_work = self._at_work, self._wanted()
        changed = [one for name, one in self._at_work.items() if before.get(name) != one]
        gone = before.keys() - self._at_work.keys()
        if changed or gone:
            self._worker.change(open_lanes(self.foundation, changed, self._connection), gone)
            self.lookups.replace(open_lookup_lanes(self.foundation, self._at_work.values(), self._connection))
        self.note_mappings()

    def note_mappings(self) -> None:
        """Have the audit trail tell which mappings are at work, and which files were refused, where that is new."""
        trail, now = Trail(self._connection), self.foundation.clock.now_ms()
        for file in self.catalogue.files():
            if not NAME.fullmatch(file.name):
                continue  # no integration of that name can be
            digest = file.integration.digest if file.integration and not file.faults else None
            try:
                trail.note_mapping(file.name, digest=digest, faults=file.complaints(), now=now)
            except StoreUnavailableError as error:
                fault = str(error)
                log(_LOG, logging.ERROR, "the trail could not be told of a mapping", integration=file.name, fault=fault)
                return  # the others would wait as long

    def _wanted(self) -> dict[str, Integration]:
        return {one.name: one for one in self.catalogue.usable() if one.enabled}
