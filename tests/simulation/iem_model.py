"""A model of IEM for one customer, behind the interface of `Caller`: it fails in any way, and remembers every push.

It answers as docs/iem/response-handling.md lists. A push can take effect although its answer is lost. A push of a process
that died can still take effect until the call would have timed out: the lease on the ticket lasts longer than that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from simulation.scheduler import Crash, Process, Scheduler, require

from relay.http.caller import Caller, Reply
from relay.http.cookies import SessionCookies
from relay.iem.calls import TOKEN_PATH

#: Minimum time until IEM answers (ms).
FASTEST = 20


class Behaviour(Enum):
    """How IEM answers a push: status, message, and seconds of `Retry-After` (or None)."""

    WORKS = (200, "Success", None)
    BUSY = (503, "busy", 60.0)
    BROKEN = (500, None, None)
    LIMITED = (429, "slow down", 2.0)
    NOT_NOW = (408, None, None)
    LOGIN_PAGE = (200, None, None)
    UNKNOWN_TICKET = (404, "no such ticket", None)
    REFUSES = (400, "bad state", None)
    INACTIVE = (401, "Data has been sent for inactive customer", None)
    NOT_ASSOCIATED = (401, "User is not associated with the customer", None)
    DENIES = (403, "access denied", None)
    MOVED = (302, None, None)
    WRONG_CREDENTIALS = (401, "Invalid credentials", None)
    #: Each token is valid for one push only.
    ONE_PUSH_TOKENS = (200, "Success", 0.0)
    #: IEM refuses the tokens that it issues.
    REFUSES_OWN_TOKENS = (401, "Invalid access token", None)
    UNREACHABLE = (None, None, None)
    #: Pushes take effect, but no answer arrives.
    SILENT = (None, "Success", None)


#: Behaviours that do not affect the token endpoint.
_ISSUES_TOKENS = {
    Behaviour.WORKS,
    Behaviour.UNKNOWN_TICKET,
    Behaviour.REFUSES,
    Behaviour.INACTIVE,
    Behaviour.NOT_ASSOCIATED,
    Behaviour.DENIES,
    Behaviour.ONE_PUSH_TOKENS,
    Behaviour.REFUSES_OWN_TOKENS,
    Behaviour.LOGIN_PAGE,
}
_APPLIES = {Behaviour.WORKS, Behaviour.ONE_PUSH_TOKENS, Behaviour.SILENT}


@dataclass(frozen=True, slots=True)
class Attempt:
    """The delivery that the current attempt is for."""

    delivery: str
    fence: str
    sys_id: str
    is_probe: bool


@dataclass(slots=True)
class ModelledPush:
    """One push that reached IEM. It took effect if `applied_at` is set."""

    attempt: Attempt
    worker: str
    state: int
    begun_at: int
    applied_at: int | None = None
    is_over: bool = False


@dataclass(slots=True)
class TokenCall:
    """One call of the token endpoint."""

    begun_at: int
    attempt: Attempt
    #: The number of failed Redis calls and killed processes before this call.
    faults: int
    #: Whether the process died during the call.
    is_orphan: bool = False
    ended_at: int | None = None
    is_refused: bool = False


class IemModel:
    """IEM for one integration."""

    def __init__(
        self, scheduler: Scheduler, name: str, attempt: Callable[[], Attempt], faults: Callable[[], int]
    ) -> None:
        """`attempt` returns the current attempt, `faults` the number of failed Redis calls and killed processes so far."""
        self.scheduler = scheduler
        self.name = name
        self.behaviour = Behaviour.WORKS
        #: Unix ms.
        self.behaves_since = scheduler.now
        self.pushes: list[ModelledPush] = []
        self.token_calls: list[TokenCall] = []
        self._attempt = attempt
        self._faults = faults
        self._valid_tokens: set[str] = set()

    def behave(self, behaviour: Behaviour) -> None:
        """Change the behaviour."""
        self.behaviour, self.behaves_since = behaviour, self.scheduler.now

    def revoke_tokens(self) -> None:
        """Make all tokens so far invalid."""
        self._valid_tokens.clear()

    def in_progress(self, sys_id: str) -> list[ModelledPush]:
        """Return the pushes of a ticket that are in progress."""
        return [push for push in self.pushes if push.attempt.sys_id == sys_id and not push.is_over]

    def applied(self, sys_id: str) -> list[ModelledPush]:
        """Return the pushes of a ticket that took effect, in that order."""
        found = [push for push in self.pushes if push.attempt.sys_id == sys_id and push.applied_at is not None]
        return sorted(found, key=lambda push: push.applied_at or 0)

    def answer_token(self, until: int) -> Reply:
        """Answer a call of the token endpoint. `until` is the time of its timeout (Unix ms)."""
        call = TokenCall(self.scheduler.now, self._attempt(), self._faults())
        require(
            not any(earlier.ended_at is None and not earlier.is_orphan for earlier in self.token_calls),
            "one process at a time fetches a token",
        )
        self.token_calls.append(call)
        try:
            self._take_time(until)
        except Crash:
            call.is_orphan = True
            raise
        if self.behaviour not in _ISSUES_TOKENS:
            reply = self._answer(until)
            call.is_refused = reply.status == 401
        else:
            token = f"token-{len(self.token_calls)}"
            self._valid_tokens.add(token)
            reply = Reply(200, {"message": "ok", "data": {"access_token": token}})
        call.ended_at = self.scheduler.now
        return reply

    def answer_push(self, process: Process, token: str | None, state: int, until: int) -> Reply:
        """Answer a push. `until` is the time of its timeout (Unix ms)."""
        attempt = self._attempt()
        require(not self.in_progress(attempt.sys_id), "two pushes of one ticket never overlap")
        push = ModelledPush(attempt, process.name, state, self.scheduler.now)
        self.pushes.append(push)
        try:
            self._take_time(until)
            reply = self._apply(push, token, until)
        except Crash:
            self.scheduler.call_at(until, lambda: self._end_orphan(push, token))
            raise
        push.is_over = True
        return reply

    def _apply(self, push: ModelledPush, token: str | None, until: int) -> Reply:
        refuses = self.behaviour is Behaviour.REFUSES_OWN_TOKENS
        if token is not None and (token not in self._valid_tokens or refuses) and self._reads_tokens():
            return Reply(401, {"detail": "Access token has expired"})
        if self.behaviour in _APPLIES:
            push.applied_at = self.scheduler.now
        if self.behaviour is Behaviour.ONE_PUSH_TOKENS:
            self.revoke_tokens()
        return self._answer(until)

    def _end_orphan(self, push: ModelledPush, token: str | None) -> None:
        """End a push of a dead process: it takes effect as late as possible."""
        push.is_over = True
        is_valid = token is None or token in self._valid_tokens
        if push.applied_at is None and self.behaviour in _APPLIES and is_valid:
            push.applied_at = self.scheduler.now

    def _reads_tokens(self) -> bool:
        return self.behaviour.value[0] not in {None, 302, 500, 503, 429, 408}

    def _answer(self, until: int) -> Reply:
        """Answer according to the behaviour; without an answer, wait for the timeout."""
        status, message, retry_after = self.behaviour.value
        if status is None:
            self.scheduler.pause(earliest=until, latest=until)
            return Reply(None, fault="timeout")
        return Reply(status, {"message": message} if message else None, retry_after or None)

    def _take_time(self, until: int) -> None:
        self.scheduler.pause(earliest=min(self.scheduler.now + FASTEST, until), latest=until)


class ModelCaller(Caller):
    """The caller of a worker's `IemClient`, connected to the model."""

    def __init__(self, iem: IemModel, process: Process) -> None:
        self._iem = iem
        self._process = process

    def exchange(
        self,
        method: Literal["GET", "POST"],  # noqa: ARG002 - the signature of `Caller`
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
        cookies: SessionCookies | None = None,  # noqa: ARG002
        keep_in: SessionCookies | None = None,  # noqa: ARG002
    ) -> Reply:
        """Return the model's answer, within `timeout` seconds."""
        until = self._iem.scheduler.now + max(1, int(timeout * 1000))
        if path == TOKEN_PATH:
            return self._iem.answer_token(until)
        content = json.loads(body or b"{}")
        token = headers["Cookie"].removeprefix("access_token=") if "Cookie" in headers else None
        return self._iem.answer_push(self._process, token, content["state"], until)

    def close(self) -> None:
        """Do nothing."""
