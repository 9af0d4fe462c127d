"""Where an attempt gets its token: from the cache that all processes share, fetched by one of them at a time."""

from __future__ import annotations

import threading
from dataclasses import replace

from relay.clock import Clock
from relay.core.outcomes import IemAnswer, Park, Retry, classify_token
from relay.core.reasons import Reason
from relay.iem.calls import GrantedToken, IemClient
from relay.iem.token_source import TokenUnavailable
from relay.store.token_store import StoredToken, TokenStore

#: A token is renewed when a tenth of its life is left, a minute at most.
_RENEW_PART, _RENEW_MOST = 0.1, 60.0
#: A refusal to park for is the answer for everybody who asks within this time of it, probes excepted (ms).
_REFUSAL_HOLDS = 2_000
#: A token that replaced a refused one is new for this long, unless it was of use (ms).
_NEW_FOR = 10_000
#: Another process's fetch is looked at this often (seconds).
_LOOK_AGAIN = 0.05


class TokenCache:
    """The token of one account of IEM. Threads share it; all processes share its store.

    Every method raises `StoreUnavailableError` where Redis does not answer.
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
        """`config`: digest of the account, whose tokens alone are used. Seconds: `lifetime`, which a token is assumed to
        have that does not tell, and `timeout`, which one fetch can take."""
        self._store = store
        self._client = client
        self._config = config
        self._lifetime = lifetime
        self._timeout = timeout
        self._clock = clock
        self._fetching = threading.Lock()
        self._known: StoredToken | None = None
        self._proven = ""

    def get(self, *, deadline: float, is_probe: bool = False) -> str | TokenUnavailable:
        """Return the token, fetched (by this or another process) before `deadline` on the monotonic clock where there is none."""
        asked_at = self._clock.now_ms()
        # A probe comes after the refusal that it is to try again, be it in the same millisecond.
        asked_at += 1 if is_probe else 0
        known = self._usable(self._known) or self._usable(self._load())
        if known is None:
            return self._fetch_once(asked_at, deadline, holds=0 if is_probe else _REFUSAL_HOLDS)
        if asked_at >= known.renew_at:
            self._renew_early(known)
        return known.value

    def drop(self, value: str) -> None:
        """Forget `value` everywhere, unless a newer token has taken its place."""
        self._replace(value, StoredToken(self._config, self._clock.now_ms()))

    def prove(self, value: str) -> None:
        """Remember that IEM took `value`."""
        self._proven = value

    def refuse(self, value: str, answer: IemAnswer) -> None:
        """Forget `value`, that IEM refused with `answer`, and have it replaced.

        A replacement that is refused too, before it was ever of use, is not replaced: whoever asks now is told so.
        """
        known, now = self._known, self._clock.now_ms()
        is_new = known is not None and known.value == value and now - known.stored_at < _NEW_FOR
        if is_new and known is not None and known.is_replacement and value != self._proven:
            self._replace(value, StoredToken(self._config, now, refusal=answer, is_replacement=True))
        else:
            self._replace(value, StoredToken(self._config, now, is_replacement=True))

    def _replace(self, value: str, stored: StoredToken) -> None:
        self._store.replace(value, stored)
        if self._known is not None and self._known.value == value:
            self._known = None

    def _fetch_once(self, asked_at: int, deadline: float, *, holds: int) -> str | TokenUnavailable:
        if not self._fetching.acquire(timeout=max(0.0, deadline - self._clock.monotonic())):
            return _waited_in_vain()
        try:
            while (found := self._found_meanwhile(asked_at, holds)) is None:
                if owner := self._store.lock(for_ms=self._lock_ms()):
                    try:
                        # Between that look and the lock somebody may have fetched, and let go.
                        return self._found_meanwhile(asked_at, holds) or self._fetch(deadline)
                    finally:
                        self._store.unlock(owner)
                if self._clock.monotonic() >= deadline:
                    return _waited_in_vain()
                self._clock.wait(_LOOK_AGAIN)
            return found
        finally:
            self._fetching.release()

    def _found_meanwhile(self, asked_at: int, holds: int) -> str | TokenUnavailable | None:
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
            return _waited_in_vain()
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
        now = stored_at / 1000
        expires_at = granted.expires_at if granted.expires_at and granted.expires_at > now else now + self._lifetime
        margin = min(_RENEW_MOST, (expires_at - now) * _RENEW_PART)
        token = StoredToken(
            config=self._config,
            stored_at=stored_at,
            value=granted.value,
            expires_at=int(expires_at * 1000),
            renew_at=int((expires_at - margin) * 1000),
            is_replacement=is_replacement,
        )
        self._store.save(token, now=stored_at)
        self._known = token

    def _renew_early(self, known: StoredToken) -> None:
        """Fetch the next token while this one is still good, unless somebody is at it. It is tried once: then it may expire."""
        if not self._fetching.acquire(blocking=False):
            return
        try:
            stored = self._load()
            owner = self._store.lock(for_ms=self._lock_ms()) if stored == known else None
            if owner is None:
                return
            try:
                if self._load() != known:
                    return  # between that look and the lock another process has renewed it
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


def _waited_in_vain() -> TokenUnavailable:
    return TokenUnavailable(
        IemAnswer(None, fault="another process fetches a token, and takes too long"), Retry(Reason.UNREACHABLE)
    )
