"""The use case: seal new audit records, and drop old ones. It runs in the background, and delays no webhook and no push."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial

from relay.clock import contain, every
from relay.core.seals import MAX_SEALED_RECORDS, Anchor, Seal, SealingKey, id_order, make_anchor, make_seal
from relay.logs import log
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail

_LOG = logging.getLogger("relay.audit")

#: How often new records are sealed (seconds), and the maximum number of seals in one turn.
_SEAL_EVERY, _MAX_SEALS = 5.0, 20
#: Maximum number of seals that are dropped in one step.
_MAX_DROPPED = 100


class Sealer:
    """Seals the trails of all integrations. Several processes can do so: only one of them can add the next seal of a chain."""

    def __init__(
        self,
        trail: Trail,
        chain: SealChain,
        key: SealingKey,
        names: Callable[[], Iterable[str]],
        *,
        retention: float,
        now_ms: Callable[[], int],
    ) -> None:
        """`retention` in seconds: how long records stay in Redis. Only sealed records are dropped."""
        self._trail = trail
        self._chain = chain
        self._key = key
        self._names = names
        self._retention = int(retention * 1000)
        self._now_ms = now_ms
        #: The number of the last seal that this process saw, by integration.
        self._last: dict[str, int] = {}
        #: Integrations whose changed seals were reported.
        self._alarmed: set[str] = set()

    def start(self, stopping: threading.Event) -> threading.Thread:
        """Seal in a background thread until `stopping` is set."""
        return every(_SEAL_EVERY, self.seal_all, name="sealer", stopping=stopping)

    def seal_all(self) -> None:
        """Seal the new records of every trail, and drop old ones. Raises StoreUnavailableError."""

        def seal_one(name: str) -> None:
            self.seal(name)
            self.drop_old(name)

        for name in self._names():
            # A damaged trail must not keep the others from being sealed.
            contain(partial(seal_one, name), lambda: None, what=f"sealing the audit trail of {name}")

    def seal(self, integration: str) -> int:
        """Seal the new records of one trail, and return their number. Raises StoreUnavailableError."""
        sealed = 0
        previous: Seal | Anchor | None = self._chain.last(integration) or self._chain.anchor(integration)
        if not self._trusts(integration, previous):
            return 0
        for _ in range(_MAX_SEALS):
            records = self._trail.read_after(integration, previous.last if previous else None, limit=MAX_SEALED_RECORDS)
            if not records:
                break
            seal = make_seal(self._key, integration, previous, records)
            if not self._chain.add(seal):
                break  # another process has added a seal
            previous, sealed = seal, sealed + len(records)
        self._last[integration] = previous.number if previous else 0
        return sealed

    def _trusts(self, integration: str, previous: Seal | Anchor | None) -> bool:
        """Return whether the relay made the chain's last seal. A forged chain must not be continued with the real key."""
        number, seen = previous.number if previous else 0, self._last.get(integration, 0)
        is_ours = previous is None or previous.key != self._key.name or self._key.mac(previous.text) == previous.mac
        if is_ours and number >= seen:
            return True
        if is_ours and isinstance(previous, Seal):
            # A failover can lose the last seals. If sealing stopped for that, the trail would grow without bound.
            message = "the audit trail has lost its last seals, in a failover or by tampering: sealing continues"
            log(_LOG, logging.ERROR, message, integration=integration, last_seal=number, seen=seen)
            self._last[integration] = number
            return True
        if integration not in self._alarmed:
            message = "the seals of the audit trail were changed: sealing has stopped, see `relay audit verify`"
            log(_LOG, logging.ERROR, message, integration=integration)
            self._alarmed.add(integration)
        return False

    def drop_old(self, integration: str) -> None:
        """Drop seals that hold only records older than the retention, and these records. Raises StoreUnavailableError."""
        oldest = self._now_ms() - self._retention
        last: Seal | None = None
        for number, seal in enumerate(self._chain.seals(integration, page_size=1)):
            if id_order(seal.last)[0] >= oldest or number == _MAX_DROPPED:
                break
            last = seal
        if last is not None:
            self._chain.drop(make_anchor(self._key, last))
            self._last[integration] = max(self._last.get(integration, 0), last.number)
            log(_LOG, logging.INFO, "old audit records dropped", integration=integration, up_to=last.last)
