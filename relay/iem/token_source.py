"""The source of tokens that `IemService` needs, and a simple one for a single process. See also `token_cache`."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from relay.clock import Clock
from relay.core.outcomes import IemAnswer, Outcome, Retry, classify_token
from relay.core.reasons import Reason
from relay.iem.calls import IemClient
from relay.iem.token_expiry import plan_life

#: The life of a token that does not contain its expiry (seconds).
_ASSUMED_LIFE = 1800.0
#: A token is replaced this long before it expires (seconds).
_MARGIN = 30.0


@dataclass(frozen=True, slots=True)
class TokenUnavailable:
    """There is no token: IEM's answer, and the outcome of the attempt."""

    answer: IemAnswer
    outcome: Outcome


class TokenSource(Protocol):
    """Provides the token of one account, and is informed whether IEM accepted it."""

    def get(self, *, deadline: float, is_probe: bool = False) -> str | TokenUnavailable:
        """Return the token. Without a token, fetch one before `deadline` on the monotonic clock."""

    def confirm(self, value: str) -> None:
        """Note that IEM accepted `value`."""

    def refuse(self, value: str, answer: IemAnswer) -> None:
        """Drop `value` because IEM refused a push with it; `answer` is the refusal."""

    def drop(self, value: str) -> None:
        """Drop `value`, unless a newer token has replaced it."""


class ProcessToken:
    """A token of this process only. Thread-safe: one thread fetches it; the others wait."""

    def __init__(self, client: IemClient, *, timeout: float, clock: Clock) -> None:
        """`timeout`: of one fetch (seconds)."""
        self._client = client
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._value = ""
        self._renew_at = 0.0

    def get(self, *, deadline: float, is_probe: bool = False) -> str | TokenUnavailable:  # noqa: ARG002 - part of the protocol
        """Return the token. Without a token, fetch one. A refusal is not remembered: the next call tries again."""
        with self._lock:
            now = self._clock.now_ms() / 1000
            if self._value and now < self._renew_at:
                return self._value
            left = min(self._timeout, deadline - self._clock.monotonic())
            if left <= 0:
                fault = "there was no time left to fetch a token"
                return TokenUnavailable(IemAnswer(None, fault=fault), Retry(Reason.UNREACHABLE))
            granted = self._client.generate_token(timeout=left)
            if isinstance(granted, IemAnswer):
                return TokenUnavailable(granted, classify_token(granted))
            life = plan_life(granted.expires_at, now=now, assumed=_ASSUMED_LIFE, max_margin=_MARGIN)
            self._value, self._renew_at = granted.value, life.renew_at
            return self._value

    def confirm(self, value: str) -> None:
        """Do nothing: a token that is refused is always dropped."""

    def refuse(self, value: str, answer: IemAnswer) -> None:  # noqa: ARG002 - part of the protocol
        """Drop `value`."""
        self.drop(value)

    def drop(self, value: str) -> None:
        """Drop `value`, unless a newer token has replaced it."""
        with self._lock:
            if self._value == value:
                self._value = ""
