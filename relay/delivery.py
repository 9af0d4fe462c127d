"""The use case: make one attempt at a delivery. What its answer means is `core.outcomes`, what follows is the store's."""

from __future__ import annotations

from dataclasses import dataclass

from relay.clock import Clock
from relay.core.integration import Iem
from relay.core.outcomes import (
    TOKEN_DROPPING,
    Answer,
    Delivered,
    Outcome,
    Park,
    Reason,
    RefusedToken,
    Retry,
    classify_push,
)
from relay.iem.client import IemClient, Target
from relay.iem.token_cache import NoToken, TokenCache

_TOKEN_REFUSED = Park(Reason.TOKEN_REFUSED)
#: An attempt, with all its calls, takes at most this many times the timeout of one call.
_TIMEOUTS_PER_ATTEMPT = 3
#: The lease on a ticket outlives the slowest attempt by this (seconds).
_LEASE_MARGIN = 5.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one turn came to, and the answer that decided it."""

    outcome: Outcome
    answer: Answer


def longest_attempt(iem: Iem) -> float:
    """Return the seconds within which an attempt is over, whatever IEM does."""
    return _TIMEOUTS_PER_ATTEMPT * iem.timeout


def lease_of(iem: Iem) -> float:
    """Return the seconds for which a delivery is lent to a worker: longer than the slowest attempt."""
    return longest_attempt(iem) + _LEASE_MARGIN


class Deliverer:
    """Pushes deliveries of one integration to IEM. Threads share it."""

    def __init__(self, iem: Iem, client: IemClient, tokens: TokenCache, clock: Clock) -> None:
        self._iem = iem
        self._monotonic = clock.monotonic
        self._target = Target(iem.customer_id, iem.integration_id)
        self._client = client
        self._tokens = tokens

    def attempt(self, sys_id: str, state: int, *, deadline: float, is_probe: bool) -> Attempt:
        """Push once, and once more with a new token where a cached one is refused; all before `deadline` (monotonic clock).

        Raises:
            StoreUnavailableError: the shared token cannot be read or dropped.
        """
        if self._iem.auth == "basic":
            return self._push(sys_id, state, None, deadline)
        token = self._tokens.get(deadline=deadline, is_probe=is_probe)
        if isinstance(token, NoToken):
            return Attempt(token.outcome, token.answer)
        attempt = self._push(sys_id, state, token, deadline)
        if attempt.outcome != _TOKEN_REFUSED:
            return attempt
        token = self._tokens.get(deadline=deadline, is_probe=is_probe)
        if isinstance(token, NoToken):
            return Attempt(token.outcome, token.answer)
        return self._push(sys_id, state, token, deadline)

    def close(self) -> None:
        """Close the connections to IEM."""
        self._client.close()

    def _push(self, sys_id: str, state: int, token: str | None, deadline: float) -> Attempt:
        left = deadline - self._monotonic()
        if left <= 0:
            return Attempt(Retry(Reason.UNREACHABLE), Answer(None, fault="the attempt took too long in all"))
        answer = self._client.push(self._target, sys_id, state, token, timeout=min(self._iem.timeout, left))
        outcome = classify_push(answer, self._iem.auth)
        if token is None:
            return Attempt(_TOKEN_REFUSED if isinstance(outcome, RefusedToken) else outcome, answer)
        match outcome:
            case RefusedToken():
                self._tokens.refuse(token, answer)
                return Attempt(_TOKEN_REFUSED, answer)
            case Delivered():
                self._tokens.prove(token)
            case Retry(reason=reason) | Park(reason=reason) if reason in TOKEN_DROPPING:
                self._tokens.drop(token)
        return Attempt(outcome, answer)
