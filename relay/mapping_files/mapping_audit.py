"""The use case: have the audit trail tell which mappings are at work, and which files were refused."""

from __future__ import annotations

import logging
from collections.abc import Callable

from relay.errors import StoreUnavailableError
from relay.logs import log
from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.parser import NAME
from relay.store.trail import Trail

_LOG = logging.getLogger("relay.mappings")


class MappingAudit:
    """Writes what is new; every process may, what one has written another one does not write again."""

    def __init__(self, trail: Trail, catalogue: Catalogue, now_ms: Callable[[], int]) -> None:
        self._trail = trail
        self._catalogue = catalogue
        self._now_ms = now_ms

    def write(self) -> None:
        """Write how each file stands, where the trail does not know it yet."""
        now = self._now_ms()
        for file in self._catalogue.files():
            if not NAME.fullmatch(file.name):
                continue  # no integration of that name can be
            digest = file.integration.digest if file.integration and not file.faults else None
            try:
                self._trail.record_mapping(file.name, digest=digest, faults=file.complaints(), now=now)
            except StoreUnavailableError as error:
                fault = str(error)
                log(_LOG, logging.ERROR, "the trail could not be told of a mapping", integration=file.name, fault=fault)
                return  # the others would wait as long
