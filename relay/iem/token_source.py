"""Where a call gets its token: what `IemService` asks for, and the plainest one that gives it. See also `token_cache`."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from relay.clock import Clock
from relay.core.outcomes import IemAnswer, Outcome, Retry, classify_token
from relay.core.reasons import Reason
from relay.iem.calls import IemClient

#: How long a token is assumed to be good that does not tell (seconds).
_LIFETIME = 1800.0
#: It is not used in its last part of a minute (seconds).
_MARGIN = 30.0


@dataclass(frozen=True, slots=True)
class TokenUnavailable:
    """No token was to be had: the answer that said so, and what it means for the attempt."""

    answer: IemAnswer
    outcome: Outcome


class TokenSource(Protocol):
    """Gives the token of one account, and is told what became of it."""

    def get(self, *, deadline: float, is_probe: bool = False) -> str | TokenUnavailable:
        """Return the token, fetched before `deadline` on the monotonic clock where there is none."""

    def prove(self, value: str) -> None:
        """Remember that IEM took `value`."""

    def refuse(self, value: str, answer: IemAnswer) -> None:
        """Forget `value`, that IEM refused a push with `answer`."""

    def drop(self, value: str) -> None:
        """Forget `value`, unless a newer one has taken its place."""


class ProcessToken:
    """A token that one process keeps for itself. Threads share it; one of them fetches."""

    def __init__(self, client: IemClient, *, timeout: float, clock: Clock) -> None:
        """`timeout`: of one fetch (seconds)."""
        self._client = client
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._value = ""
        self._good_until = 0.0

    def get(self, *, deadline: float, is_probe: bool = False) -> str | TokenUnavailable:  # noqa: ARG002 - of the protocol
        """Return the token, fetched where there is none. A refusal is not remembered: who asks again, tries again."""
        with self._lock:
            now = self._clock.now_ms() / 1000
            if self._value and now < self._good_until:
                return self._value
            left = min(self._timeout, deadline - self._clock.monotonic())
            if left <= 0:
                return TokenUnavailable(
                    IemAnswer(None, fault="there was no time left to fetch a token"), Retry(Reason.UNREACHABLE)
                )
            granted = self._client.generate_token(timeout=left)
            if isinstance(granted, IemAnswer):
                return TokenUnavailable(granted, classify_token(granted))
            ends = granted.expires_at if granted.expires_at and granted.expires_at > now else now + _LIFETIME
            self._value, self._good_until = granted.value, ends - min(_MARGIN, (ends - now) / 10)
            return self._value

    def prove(self, value: str) -> None:
        """Nothing is made of it."""

    def refuse(self, value: str, answer: IemAnswer) -> None:  # noqa: ARG002 - of the protocol
        """Forget `value`."""
        self.drop(value)

    def drop(self, value: str) -> None:
        """Forget `value`, unless a newer one has taken its place."""
        with self._lock:
            if self._value == value:
                self._value = ""
