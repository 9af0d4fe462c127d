"""The calls of IEM's guide with one account. A call whose token is refused is repeated once with a new token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from relay.clock import Clock
from relay.core.outcomes import (
    Delivered,
    IemAnswer,
    Outcome,
    Park,
    Retry,
    TokenNotAccepted,
    classify_healthcheck,
    classify_publish,
    classify_push,
)
from relay.core.reasons import Reason
from relay.iem.calls import IemClient, Target, check_push
from relay.iem.publish_bodies import Publication
from relay.iem.publish_schemas import encode
from relay.iem.token_source import TokenSource, TokenUnavailable

#: An attempt, with all its requests, takes at most this many times the timeout of one request.
CALLS_PER_ATTEMPT = 3
_TOKEN_REFUSED = Park(Reason.TOKEN_REFUSED)
_TOOK_TOO_LONG = IemAnswer(None, fault="the attempt took too long")


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of an attempt, and the answer that decided it."""

    outcome: Outcome
    answer: IemAnswer


class IemService:
    """Pushes and publishes. Thread-safe. No answer of IEM raises an exception: the attempt has its outcome.

    An attempt makes at most three requests of `timeout` seconds each. Later attempts are up to the caller.
    """

    def __init__(
        self, client: IemClient, tokens: TokenSource, *, auth: Literal["token", "basic"], timeout: float, clock: Clock
    ) -> None:
        """`auth`: of pushes; publishing always uses a token. `timeout` of one request in seconds."""
        self._client = client
        self._tokens = tokens
        self._auth: Literal["token", "basic"] = auth
        self._timeout = timeout
        self._monotonic = clock.monotonic

    def push(
        self, target: Target, sys_id: str, state: int, *, deadline: float | None = None, is_probe: bool = False
    ) -> Attempt:
        """Push a ticket's state (guide section 4.3), before `deadline` on the monotonic clock.

        Raises:
            RequestBodyError: the state is not a whole number, or a text contains a lone surrogate. Nothing was sent.
            StoreUnavailableError: the shared token cannot be read or written.
        """
        check_push(target, sys_id, state)
        until = self._deadline(deadline)
        if self._auth == "basic":
            return self._push_with_basic(target, sys_id, state, until)
        return self._attempt_with_token(
            lambda token: self._push_once(target, sys_id, state, token, until), until, is_probe=is_probe
        )

    def publish(self, publication: Publication, body: Mapping[str, Any], *, deadline: float | None = None) -> Attempt:
        """Publish one body (guide section 5). `Delivered` means that IEM has queued it; IEM can show it later.

        Raises:
            RequestBodyError: the body is not as the guide describes it. Nothing was sent.
            StoreUnavailableError: as for `push`.
        """
        encoded, until = encode(publication, body), self._deadline(deadline)
        return self._attempt_with_token(
            lambda token: self._publish_once(publication, encoded, token, until), until, is_probe=False
        )

    def healthcheck(self) -> Attempt:
        """Call the health check of the publish service (guide section 5), without a credential."""
        answer = self._client.healthcheck(timeout=self._timeout)
        return Attempt(classify_healthcheck(answer), answer)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        """Return this service."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def _deadline(self, deadline: float | None) -> float:
        return self._monotonic() + CALLS_PER_ATTEMPT * self._timeout if deadline is None else deadline

    def _seconds_left(self, deadline: float) -> float:
        """Return the timeout of the next request; zero or less if the deadline has passed."""
        return min(self._timeout, deadline - self._monotonic())

    def _attempt_with_token(self, once: Callable[[str], Attempt], deadline: float, *, is_probe: bool) -> Attempt:
        """Make a call, and repeat it once with a new token if IEM refused the first token."""
        attempt = Attempt(_TOKEN_REFUSED, IemAnswer(None))
        for _ in range(2):
            token = self._tokens.get(deadline=deadline, is_probe=is_probe)
            if isinstance(token, TokenUnavailable):
                return Attempt(token.outcome, token.answer)
            attempt = once(token)
            if attempt.outcome != _TOKEN_REFUSED:
                break
        return attempt

    def _push_with_basic(self, target: Target, sys_id: str, state: int, deadline: float) -> Attempt:
        left = self._seconds_left(deadline)
        answer = self._client.push(target, sys_id, state, None, timeout=left) if left > 0 else _TOOK_TOO_LONG
        outcome = classify_push(answer, "basic")
        assert not isinstance(outcome, TokenNotAccepted)
        return Attempt(outcome, answer)

    def _push_once(self, target: Target, sys_id: str, state: int, token: str, deadline: float) -> Attempt:
        left = self._seconds_left(deadline)
        answer = self._client.push(target, sys_id, state, token, timeout=left) if left > 0 else _TOOK_TOO_LONG
        outcome = classify_push(answer, "token")
        match outcome:
            case TokenNotAccepted():
                self._tokens.refuse(token, answer)
                return Attempt(_TOKEN_REFUSED, answer)
            case Delivered():
                self._tokens.confirm(token)
            case Retry(reason=reason) | Park(reason=reason) if reason.row.drops_token:
                self._tokens.drop(token)
        return Attempt(outcome, answer)

    def _publish_once(self, publication: Publication, body: bytes, token: str, deadline: float) -> Attempt:
        """Publish with `token`. If IEM refuses it, it is replaced, but this does not count towards parking the deliveries."""
        left = self._seconds_left(deadline)
        answer = self._client.publish(publication, body, token, timeout=left) if left > 0 else _TOOK_TOO_LONG
        outcome = classify_publish(answer)
        match outcome:
            case TokenNotAccepted():
                self._tokens.drop(token)
                return Attempt(_TOKEN_REFUSED, answer)
            case Retry(reason=reason) | Park(reason=reason) if reason.row.drops_token:
                self._tokens.drop(token)
        return Attempt(outcome, answer)
