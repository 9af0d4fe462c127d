"""The use case: seal what is new in the audit trails, and drop what is old. Off the path of webhooks and pushes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial

from relay.clock import contain, every
from relay.core.seal import MOST_RECORDS, Anchor, Seal, SealingKey, id_order, make_anchor, make_seal
from relay.logs import log
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail

_LOG = logging.getLogger("relay.audit")

#: How often new records are sealed (seconds), and in how many seals at most at once.
_SEAL_EVERY, _SEALS_AT_ONCE = 5.0, 20
#: Seals that are dropped in one step at most.
_DROPPED_AT_ONCE = 100


class Sealer:
    """Seals the trails of all integrations. Of several processes that do so one adds the next seal: the chain never forks."""

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
        """`retention` in seconds: how long records stay in Redis. Only what is sealed is ever dropped."""
        self._trail = trail
        self._chain = chain
        self._key = key
        self._names = names
        self._retention = int(retention * 1000)
        self._now_ms = now_ms
        #: The number of the last seal that this process saw, and trails whose end is none of ours.
        self._last: dict[str, int] = {}
        self._alarmed: set[str] = set()

    def start(self, stopping: threading.Event) -> threading.Thread:
        """Seal in a background thread until `stopping` is set."""
        return every(_SEAL_EVERY, self.seal_all, name="sealer", stopping=stopping)

    def seal_all(self) -> None:
        """Seal what is new in every trail, and drop what is old. Raises StoreUnavailableError."""

        def seal_one(name: str) -> None:
            self.seal(name)
            self.drop_old(name)

        for name in self._names():
            # A damaged trail must not keep the others from being sealed.
            contain(partial(seal_one, name), lambda: None, what=f"sealing the audit trail of {name}")

    def seal(self, integration: str) -> int:
        """Seal what is new in one trail; returns how many records were sealed. Raises StoreUnavailableError."""
        sealed = 0
        before: Seal | Anchor | None = self._chain.last(integration) or self._chain.anchor(integration)
        if not self._trusts(integration, before):
            return 0
        for _ in range(_SEALS_AT_ONCE):
            records = self._trail.read_after(integration, before.last if before else None, limit=MOST_RECORDS)
            if not records:
                break
            seal = make_seal(self._key, integration, before, records)
            if not self._chain.add(seal):
                break  # another process was first
            before, sealed = seal, sealed + len(records)
        self._last[integration] = before.number if before else 0
        return sealed

    def _trusts(self, integration: str, before: Seal | Anchor | None) -> bool:
        """Tell whether the chain's end is one of ours: what somebody rewrote must not be sealed once more, by the true key."""
        number, seen = before.number if before else 0, self._last.get(integration, 0)
        is_ours = before is None or before.key != self._key.name or self._key.mac(before.text) == before.mac
        if is_ours and number >= seen:
            return True
        if is_ours and isinstance(before, Seal):
            # A failover can lose the last ones: a chain that stood still for that would let the trail grow for ever.
            message = (
                "the audit trail has lost its last seals: a failover, or somebody cut them off; it goes on from there"
            )
            log(_LOG, logging.ERROR, message, integration=integration, last_seal=number, seen=seen)
            self._last[integration] = number
            return True
        if integration not in self._alarmed:
            message = "the audit trail's seals were changed: it is not sealed any more, see `relay audit verify`"
            log(_LOG, logging.ERROR, message, integration=integration)
            self._alarmed.add(integration)
        return False

    def drop_old(self, integration: str) -> None:
        """Drop seals whose youngest record is older than the retention, with their records. Raises StoreUnavailableError."""
        oldest = self._now_ms() - self._retention
        last: Seal | None = None
        for number, seal in enumerate(self._chain.seals(integration, at_once=1)):
            if id_order(seal.last)[0] >= oldest or number == _DROPPED_AT_ONCE:
                break
            last = seal
        if last is not None:
            self._chain.drop(make_anchor(self._key, last))
            self._last[integration] = max(self._last.get(integration, 0), last.number)
            log(_LOG, logging.INFO, "audit records are old enough to go", integration=integration, up_to=last.last)
