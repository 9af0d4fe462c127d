"""The access token that all processes share. One process fetches it; the others wait."""

from __future__ import annotations

import threading
from dataclasses import replace

from relay.clock import Clock
from relay.core.outcomes import IemAnswer, Park, Retry, classify_token
from relay.core.reasons import Reason
from relay.iem.calls import GrantedToken, IemClient
from relay.iem.token_expiry import plan_life
from relay.iem.token_source import TokenUnavailable
from relay.store.token_store import StoredToken, TokenStore

#: A token is renewed this long before it expires, or when a tenth of its life is left (seconds).
_MAX_MARGIN = 60.0
#: Calls within this time get the same refusal if it parks; probes do not (ms).
_REFUSAL_HOLDS = 2_000
#: A token that replaced a refused one counts as new for this long, unless IEM has accepted it (ms).
_NEW_FOR = 10_000
#: Interval of checks whether another process has fetched the token (seconds).
_POLL_INTERVAL = 0.05


class TokenCache:
    """The token of one integration. Thread-safe; all processes share the store.

    Every method raises `StoreUnavailableError` if Redis does not answer.
    """

    def __init__(
        self,
        store: TokenStore,
        client: IemClient,
        *,
        config: str,
        lifetime: float,
        timeout: float,
        clock: Clock,
    ) -> None:
        """`config`: digest of the account; only tokens with this digest are used.

        `lifetime`: how long a token without its own expiry is assumed to last; `timeout`: of one fetch (both in seconds).
        """
        self._store = store
        self._client = client
        self._config = config
        self._lifetime = lifetime
        self._timeout = timeout
        self._clock = clock
        self._fetching = threading.Lock()
        self._known: StoredToken | None = None
        self._confirmed = ""

    def get(self, *, deadline: float, is_probe: bool = False) -> str | TokenUnavailable:
        """Return the token. Without a token, wait until `deadline` (monotonic) for this or another process to fetch one."""
        asked_at = self._clock.now_ms()
        # A probe follows the refusal that it repeats, even within the same millisecond.
        asked_at += 1 if is_probe else 0
        known = self._usable(self._known) or self._usable(self._load())
        if known is None:
            return self._fetch_once(asked_at, deadline, holds=0 if is_probe else _REFUSAL_HOLDS)
        if asked_at >= known.renew_at:
            self._renew_early(known)
        return known.value

    def drop(self, value: str) -> None:
        """Drop `value` in all processes, unless a newer token has replaced it."""
        self._replace(value, StoredToken(self._config, self._clock.now_ms()))

    def confirm(self, value: str) -> None:
        """Note that IEM accepted `value`."""
        self._confirmed = value

    def refuse(self, value: str, answer: IemAnswer) -> None:
        """Drop `value`, which IEM refused with `answer`, so that the next `get` replaces it.

        A replacement that IEM refuses too, before it has ever accepted it, is not replaced: `get` returns the refusal.
        """
        known, now = self._known, self._clock.now_ms()
        is_new = known is not None and known.value == value and now - known.stored_at < _NEW_FOR
        if is_new and known is not None and known.is_replacement and value != self._confirmed:
            self._replace(value, StoredToken(self._config, now, refusal=answer, is_replacement=True))
        else:
            self._replace(value, StoredToken(self._config, now, is_replacement=True))

    def _replace(self, value: str, stored: StoredToken) -> None:
        self._store.replace(value, stored)
        if self._known is not None and self._known.value == value:
            self._known = None

    def _fetch_once(self, asked_at: int, deadline: float, *, holds: int) -> str | TokenUnavailable:
        if not self._fetching.acquire(timeout=max(0.0, deadline - self._clock.monotonic())):
            return _timed_out()
        try:
            while (found := self._find_fetched(asked_at, holds)) is None:
                if owner := self._store.lock(for_ms=self._lock_ms()):
                    try:
                        # Another process may have fetched a token and unlocked between the check and the lock.
                        return self._find_fetched(asked_at, holds) or self._fetch(deadline)
                    finally:
                        self._store.unlock(owner)
                if self._clock.monotonic() >= deadline:
                    return _timed_out()
                self._clock.wait(_POLL_INTERVAL)
            return found
        finally:
            self._fetching.release()

    def _find_fetched(self, asked_at: int, holds: int) -> str | TokenUnavailable | None:
        stored = self._load()
        if stored is None or stored.config != self._config:
            return None
        if refused := stored.refusal:
            outcome = Park(Reason.TOKEN_REFUSED) if stored.is_replacement else classify_token(refused)
            since = asked_at - holds if isinstance(outcome, Park) else asked_at
            return TokenUnavailable(refused, outcome) if stored.stored_at >= since else None
        return stored.value if self._usable(stored) else None

    def _fetch(self, deadline: float) -> str | TokenUnavailable:
        left = deadline - self._clock.monotonic()
        if left <= 0:
            return _timed_out()
        wanted = self._known
        granted = self._client.generate_token(timeout=min(self._timeout, left))
        if isinstance(granted, IemAnswer):
            now = self._clock.now_ms()
            self._store.save(StoredToken(self._config, now, refusal=granted), now=now)
            return TokenUnavailable(granted, classify_token(granted))
        self._keep(granted, is_replacement=wanted is not None and wanted.is_replacement)
        return granted.value

    def _keep(self, granted: GrantedToken, *, is_replacement: bool = False) -> None:
        stored_at = self._clock.now_ms()
        life = plan_life(granted.expires_at, now=stored_at / 1000, assumed=self._lifetime, max_margin=_MAX_MARGIN)
        token = StoredToken(
            config=self._config,
            stored_at=stored_at,
            value=granted.value,
            expires_at=int(life.expires_at * 1000),
            renew_at=int(life.renew_at * 1000),
            is_replacement=is_replacement,
        )
        self._store.save(token, now=stored_at)
        self._known = token

    def _renew_early(self, known: StoredToken) -> None:
        """Fetch the next token while this one is valid, unless another thread or process does. A failure is not repeated."""
        if not self._fetching.acquire(blocking=False):
            return
        try:
            stored = self._load()
            owner = self._store.lock(for_ms=self._lock_ms()) if stored == known else None
            if owner is None:
                return
            try:
                if self._load() != known:
                    return  # another process has renewed it between the check and the lock
                granted = self._client.generate_token(timeout=self._timeout)
                if isinstance(granted, GrantedToken):
                    self._keep(granted)
                else:
                    self._known = replace(known, renew_at=known.expires_at)
                    self._store.save(self._known, now=self._clock.now_ms())
            finally:
                self._store.unlock(owner)
        finally:
            self._fetching.release()

    def _load(self) -> StoredToken | None:
        self._known = self._store.load()
        return self._known

    def _usable(self, stored: StoredToken | None) -> StoredToken | None:
        if (
            stored is None
            or stored.config != self._config
            or not stored.value
            or self._clock.now_ms() >= stored.expires_at
        ):
            return None
        return stored

    def _lock_ms(self) -> int:
        return int((self._timeout + 5) * 1000)


def _timed_out() -> TokenUnavailable:
    return TokenUnavailable(
        IemAnswer(None, fault="another process is fetching a token and takes too long"), Retry(Reason.UNREACHABLE)
    )
