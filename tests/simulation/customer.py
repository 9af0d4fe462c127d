"""IEM as one customer sees it, at the other end of `Caller`: in any mood, slow, and with a memory of every push.

It answers what DESIGN section 7 lists. A push can land without an answer, and one whose sender died can still land until its
own timeout: the lease on the ticket outlives that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from simulation.stage import Crash, Process, Stage, expect

from relay.http.caller import Caller, Reply
from relay.http.cookies import SessionCookies
from relay.iem.calls import TOKEN_PATH

#: How long IEM takes at least (ms).
QUICKEST = 20


class Mood(Enum):
    """How IEM answers for now: to a push, and whether the token endpoint does the same."""

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
    #: It takes tokens for an hour, but each for one push.
    FORGETFUL = (200, "Success", 0.0)
    #: It gives tokens that it does not take.
    CONFUSED = (401, "Invalid access token", None)
    UNREACHABLE = (None, None, None)
    #: What is pushed lands, but no answer comes.
    SILENT = (None, "Success", None)


#: Moods in which the token endpoint works as ever.
_GIVES_TOKENS = {Mood.WORKS, Mood.UNKNOWN_TICKET, Mood.REFUSES, Mood.INACTIVE, Mood.NOT_ASSOCIATED, Mood.DENIES}
_GIVES_TOKENS |= {Mood.FORGETFUL, Mood.CONFUSED, Mood.LOGIN_PAGE}
_APPLIES = {Mood.WORKS, Mood.FORGETFUL, Mood.SILENT}


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who pushes: the delivery that the running attempt is for."""

    delivery: str
    fence: str
    sys_id: str
    is_probe: bool


@dataclass(slots=True)
class Push:
    """One push that IEM saw begin; it landed where `landed_at` is set."""

    attempt: Attempt
    worker: str
    state: int
    begun_at: int
    landed_at: int | None = None
    is_over: bool = False


@dataclass(slots=True)
class TokenCall:
    """One call of the token endpoint."""

    begun_at: int
    attempt: Attempt
    #: How many calls of Redis and processes had been lost by then.
    faults: int
    #: The process that made it died meanwhile.
    is_orphan: bool = False
    ended_at: int | None = None
    is_refused: bool = False


class Customer:
    """IEM for one integration."""

    def __init__(self, stage: Stage, name: str, attempt: Callable[[], Attempt], faults: Callable[[], int]) -> None:
        """`attempt` tells whose turn it is that posts, `faults` how many calls of Redis and processes were lost so far."""
        self.stage = stage
        self.name = name
        self.mood = Mood.WORKS
        #: Unix ms.
        self.mood_since = stage.now
        self.pushes: list[Push] = []
        self.token_calls: list[TokenCall] = []
        self._attempt = attempt
        self._faults = faults
        self._valid: set[str] = set()

    def turn(self, mood: Mood) -> None:
        """Be in another mood from now on."""
        self.mood, self.mood_since = mood, self.stage.now

    def revoke(self) -> None:
        """Take no token any more that was given so far."""
        self._valid.clear()

    def under_way(self, sys_id: str) -> list[Push]:
        """Return the pushes of a ticket that have begun and are not over."""
        return [push for push in self.pushes if push.attempt.sys_id == sys_id and not push.is_over]

    def landed(self, sys_id: str) -> list[Push]:
        """Return the pushes of a ticket that landed, in the order in which they did."""
        found = [push for push in self.pushes if push.attempt.sys_id == sys_id and push.landed_at is not None]
        return sorted(found, key=lambda push: push.landed_at or 0)

    def give_token(self, until: int) -> Reply:
        """Answer a call of the token endpoint."""
        call = TokenCall(self.stage.now, self._attempt(), self._faults())
        expect(
            not any(one.ended_at is None and not one.is_orphan for one in self.token_calls),
            "one process at a time fetches a token",
        )
        self.token_calls.append(call)
        try:
            self._take_time(until)
        except Crash:
            call.is_orphan = True
            raise
        if self.mood not in _GIVES_TOKENS:
            reply = self._refuse(until)
            call.is_refused = reply.status == 401
        else:
            token = f"token-{len(self.token_calls)}"
            self._valid.add(token)
            reply = Reply(200, {"message": "ok", "data": {"access_token": token}})
        call.ended_at = self.stage.now
        return reply

    def take_push(self, process: Process, token: str | None, state: int, until: int) -> Reply:
        """Answer a push."""
        attempt = self._attempt()
        expect(not self.under_way(attempt.sys_id), "two pushes of one ticket never overlap")
        push = Push(attempt, process.name, state, self.stage.now)
        self.pushes.append(push)
        try:
            self._take_time(until)
            reply = self._judge(push, token, until)
        except Crash:
            self.stage.at(until, lambda: self._end_orphan(push, token))
            raise
        push.is_over = True
        return reply

    def _judge(self, push: Push, token: str | None, until: int) -> Reply:
        if token is not None and (token not in self._valid or self.mood is Mood.CONFUSED) and self._reads_tokens():
            return Reply(401, {"detail": "Access token has expired"})
        if self.mood in _APPLIES:
            push.landed_at = self.stage.now
        if self.mood is Mood.FORGETFUL:
            self.revoke()
        return self._refuse(until)

    def _end_orphan(self, push: Push, token: str | None) -> None:
        """Let what a dead process sent land as late as it can."""
        push.is_over = True
        if push.landed_at is None and self.mood in _APPLIES and (token is None or token in self._valid):
            push.landed_at = self.stage.now

    def _reads_tokens(self) -> bool:
        return self.mood.value[0] not in {None, 302, 500, 503, 429, 408}

    def _refuse(self, until: int) -> Reply:
        """Answer as the mood is; of one who does not answer wait for the timeout."""
        status, message, retry_after = self.mood.value
        if status is None:
            self.stage.pause(earliest=until, latest=until)
            return Reply(None, fault="timeout")
        return Reply(status, {"message": message} if message else None, retry_after or None)

    def _take_time(self, until: int) -> None:
        self.stage.pause(earliest=min(self.stage.now + QUICKEST, until), latest=until)


class Line(Caller):
    """What a worker's `IemClient` posts with."""

    def __init__(self, customer: Customer, process: Process) -> None:
        self._customer = customer
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
        """Have IEM answer within `timeout` seconds."""
        until = self._customer.stage.now + max(1, int(timeout * 1000))
        if path == TOKEN_PATH:
            return self._customer.give_token(until)
        content = json.loads(body or b"{}")
        token = headers["Cookie"].removeprefix("access_token=") if "Cookie" in headers else None
        return self._customer.take_push(self._process, token, content["state"], until)

    def close(self) -> None:
        """There is nothing to close."""
