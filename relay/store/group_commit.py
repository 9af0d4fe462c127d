"""Group commit: however many threads come with webhooks of an integration, one call of Redis at a time stores all that wait.

One thread leads: in rounds of one call each it stores what has come, until its own webhook is over; then another one leads.

Under `appendfsync everysec` Redis answers before it hands a write to its disk while that is busy. A write that was handed over
survives a kill of Redis; one that still waits in its memory does not. So there a webhook is over only when a later round finds
nothing held back; it finds that out and stores what has come in the same call. Under `always` nothing is ever held back.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from relay.clock import Clock
from relay.errors import StoreRefusedError, StoreUnavailableError
from relay.store.connection import Connection
from relay.store.durability import read_setting

#: So long after a webhook came Redis is not asked about it any more (seconds): with one more answer it is still told in time.
_PATIENCE = 0.9
#: While something is held back and nothing new has come (seconds).
_LOOK_AGAIN = 0.002
#: The server's policy is asked for this often (seconds).
_POLICY_KEPT = 30.0
#: Redis does nothing else during a call, and so many records take it some milliseconds.
_MOST_RECORDS = 100


@dataclass(slots=True, eq=False)
class _Webhook:
    """What a thread has come with, and waits for."""

    #: Unix ms.
    now: int
    records: Sequence[str]
    #: Monotonic seconds.
    began: float
    #: Taken from the beginning; released when it is over, and when its thread is to lead.
    call: threading.Lock
    answer: Sequence[str] | StoreUnavailableError = StoreUnavailableError("Redis could not be asked")
    is_over: bool = False

    def __post_init__(self) -> None:
        self.call.acquire()


class GroupCommit:
    """Stores the webhooks of one integration. Threads share it; processes do not."""

    def __init__(self, connection: Connection, key: str, *, most_pending: int, clock: Clock) -> None:
        """`key`: the integration's queue. `most_pending`: how many of its deliveries may be pending."""
        self._connection = connection
        self._key = key
        self._most_pending = most_pending
        self._clock = clock
        self._policy = _FlushPolicy(connection, clock.monotonic)
        self._make_lock: Callable[[], threading.Lock] = threading.Lock
        self._lock = threading.Lock()
        self._is_led = False
        self._waiting: deque[_Webhook] = deque()
        #: Redis has answered these, and may hold them back from its disk. The leader's own.
        self._written: list[_Webhook] = []

    def store(self, records: Sequence[str], now: int) -> Sequence[str]:
        """Return what the accept script answers to the records of one webhook. `now` in Unix ms.

        Raises:
            StoreUnavailableError: Redis did not answer in time, refused, or holds the write back: nothing is known to be stored.
        """
        mine = _Webhook(now, records, self._clock.monotonic(), self._make_lock())
        with self._lock:
            self._waiting.append(mine)
            is_led, self._is_led = self._is_led, True
        if is_led:
            mine.call.acquire()
        if not mine.is_over:
            self._lead(mine)
        if isinstance(mine.answer, StoreUnavailableError):
            # Threads share the fault, and each has a traceback of its own.
            raise StoreUnavailableError(str(mine.answer)) from mine.answer
        return mine.answer

    def _lead(self, mine: _Webhook) -> None:
        """Make rounds until `mine` is over, then let the one lead that has waited longest."""
        try:
            while not mine.is_over:
                self._round()
        finally:
            with self._lock:
                heir = next(chain(self._written, self._waiting), None)
                self._is_led = heir is not None
            if heir:
                heir.call.release()

    def _round(self) -> None:
        """Store what has come, and call those that are over, one way or the other."""
        fresh, written = self._come(), self._written
        self._written = []
        try:
            self._send(self._in_time(fresh), written)
        finally:
            for webhook in (*written, *fresh):
                if webhook not in self._written:
                    webhook.is_over = True
                    webhook.call.release()

    def _come(self) -> list[_Webhook]:
        """Take those that wait, in the order in which they came, as many as one call may hold."""
        with self._lock:
            come: list[_Webhook] = []
            room = _MOST_RECORDS
            while self._waiting and (not come or len(self._waiting[0].records) <= room):
                come.append(self._waiting.popleft())
                room -= len(come[-1].records)
            return come

    def _send(self, fresh: Sequence[_Webhook], written: Sequence[_Webhook]) -> None:
        """Make one call, and give answers. Those go to `_written` that Redis may hold back."""
        everyone = (*written, *fresh)
        if not everyone:
            return
        arguments: list[str | int] = [everyone[-1].now, self._most_pending, int(bool(written))]
        for webhook in fresh:
            arguments += [webhook.now, len(webhook.records), *webhook.records]
        try:
            held_back, *answers = self._connection.run("accept", self._key, arguments)
        except StoreUnavailableError as error:
            if isinstance(error, StoreRefusedError) and len(fresh) + bool(written) > 1:
                self._send_each(fresh, written)
            else:
                _fail(everyone, error)
            return
        may_hold_back = self._policy.may_hold_back(min(webhook.began for webhook in everyone))
        for webhook, answer in zip(fresh, answers, strict=True):
            webhook.answer = answer
        if may_hold_back:
            self._written += self._in_time([*(written if held_back else ()), *fresh])
        if held_back and not fresh:
            self._clock.wait(_LOOK_AGAIN)

    def _send_each(self, fresh: Sequence[_Webhook], written: Sequence[_Webhook]) -> None:
        """Send each by itself: what Redis cannot take of one must not keep the others out."""
        self._written += written
        for webhook in fresh:
            self._send([webhook], ())

    def _in_time(self, webhooks: Sequence[_Webhook]) -> list[_Webhook]:
        """Return those that have not waited for too long; the others fail."""
        latest = self._clock.monotonic() - _PATIENCE
        late = [webhook for webhook in webhooks if webhook.began < latest]
        _fail(late, StoreUnavailableError("Redis is slow, or holds writes back: its disk is too busy"))
        return [webhook for webhook in webhooks if webhook.began >= latest]


def _fail(webhooks: Iterable[_Webhook], error: StoreUnavailableError) -> None:
    for webhook in webhooks:
        webhook.answer = error


class _FlushPolicy:
    """Whether the server may hold back what it has answered: under `everysec` alone."""

    def __init__(self, connection: Connection, monotonic: Callable[[], float]) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self._holds_back = True
        self._asked_at = -_POLICY_KEPT

    def may_hold_back(self, began: float) -> bool:
        """Tell what is known of it, asked for again now and then where a webhook that came at `began` leaves time."""
        now = self._monotonic()
        if now - self._asked_at >= _POLICY_KEPT and now - began <= _PATIENCE:
            # A server that hides its configuration may be one that does.
            self._holds_back = read_setting(self._connection, "appendfsync") in {"everysec", None}
            self._asked_at = now
        return self._holds_back
