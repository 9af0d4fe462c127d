"""Records the active mapping versions and the refused files in the audit trail."""

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
    """Records new versions. Every process does this; the trail ignores a version that another process has recorded already."""

    def __init__(self, trail: Trail, catalogue: Catalogue, now_ms: Callable[[], int]) -> None:
        self._trail = trail
        self._catalogue = catalogue
        self._now_ms = now_ms

    def write(self) -> None:
        """Record the version of each file, or its faults, unless the trail has them already."""
        now = self._now_ms()
        for file in self._catalogue.files():
            if not NAME.fullmatch(file.name):
                continue  # not the name of an integration
            digest = file.integration.digest if file.integration and not file.faults else None
            try:
                self._trail.record_mapping(file.name, digest=digest, faults=file.formatted_faults(), now=now)
            except StoreUnavailableError as error:
                fault = str(error)
                log(
                    _LOG,
                    logging.ERROR,
                    "cannot record a mapping in the audit trail",
                    integration=file.name,
                    fault=fault,
                )
                return  # the other files would wait for Redis as well
