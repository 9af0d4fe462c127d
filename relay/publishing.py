"""The use case: tell IEM of the relay itself, as `publish:` of a mapping asks: heartbeat, metrics, events, topology.

Beside delivering, by threads and connections of its own: nothing that goes wrong here touches a delivery. Of all processes one
tells of an integration, and what IEM was told is remembered in Redis, so that another one can go on.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Any

from relay import metrics
from relay.clock import Clock
from relay.core.integration import Publish
from relay.core.outcomes import Delivered, Park, Reason
from relay.core.standing import Counts, Problem, Standing, Told, judge_health, notices
from relay.errors import StoreUnavailableError
from relay.iem import reports
from relay.iem.model import Publication
from relay.iem.reports import Subject
from relay.iem.service import Attempt, IemService
from relay.logs import log
from relay.store.circuit import Circuit
from relay.store.publisher import PublisherStore
from relay.store.pulse import Pulse

_LOG = logging.getLogger("relay.publisher")

#: How often it is looked what there is to tell (seconds).
_LOOK_EVERY = 1.0
#: The topology is told at the start, and then this often (ms).
_TOPOLOGY_EVERY = 86_400_000
#: The right to tell outlives the slowest turn by this (ms).
_LEASE_MARGIN = 15_000
#: After a failure it waits, doubling (seconds); longer where more tries could lock the account.
_WAIT_FIRST, _WAIT_MOST = 5.0, 300.0
_LOCKED_FIRST, _LOCKED_MOST = 300.0, 3600.0


@dataclass(frozen=True, slots=True)
class _Message:
    """Something to publish, and what to remember when IEM has taken it."""

    publication: Publication
    body: Mapping[str, Any]
    memory: Mapping[str, str | None]


@dataclass(slots=True, eq=False)
class PublishingLane:
    """One integration's publishing in this process."""

    subject: Subject
    publish: Publish
    service: IemService
    store: PublisherStore
    circuit: Circuit
    pulse: Pulse
    #: How long one turn with IEM may take (seconds).
    longest_turn: float
    is_busy: bool = False
    has_told_topology: bool = False
    #: When to look again (monotonic seconds), and how long it waited after the last failure.
    look_at: float = 0.0
    wait: float = 0.0
    failing: Reason | None = None


class Publisher:
    """Tells IEM what is new of each lane's integration. `turn` is called by one thread."""

    def __init__(self, owner: str, lanes: Collection[PublishingLane], pool: Executor, clock: Clock) -> None:
        """`owner`: a name of this process that no other one has."""
        self._owner = owner
        self._lanes = lanes
        self._pool = pool
        self._clock = clock

    def replace(self, lanes: Collection[PublishingLane]) -> None:
        """Tell of `lanes` from now on. Safe in any thread; what is under way ends as it began."""
        self._lanes = lanes

    def start(self, stopping: threading.Event) -> None:
        """Tell in threads of their own until `stopping` is set."""

        def run() -> None:
            while not stopping.wait(_LOOK_EVERY):
                self.turn()

        threading.Thread(target=run, name="publisher", daemon=True).start()

    def turn(self) -> None:
        """Look what there is to tell of each lane that is not at it already."""
        now = self._clock.monotonic()
        for lane in self._lanes:
            if not lane.is_busy and now >= lane.look_at:
                lane.is_busy = True
                self._pool.submit(self._tell, lane)

    def _tell(self, lane: PublishingLane) -> None:
        try:
            self._tell_what_is_new(lane)
        except StoreUnavailableError:
            lane.look_at = self._clock.monotonic() + _WAIT_FIRST  # the worker tells that Redis is away
        except Exception:  # noqa: BLE001 - a bug in telling of one integration must not end the telling of the others
            _LOG.exception("a bug in publishing to IEM")
            lane.look_at = self._clock.monotonic() + _WAIT_MOST
        finally:
            lane.is_busy = False

    def _tell_what_is_new(self, lane: PublishingLane) -> None:
        if not self._holds(lane):
            return
        standing = self._look(lane)
        if standing.parked == Reason.WRONG_CREDENTIALS:
            return  # one more asker would help to lock the account
        for message in _due(lane, standing, lane.store.recall()):
            if not self._holds(lane):
                return
            attempt = lane.service.publish(message.publication, message.body)
            self._count(lane, message.publication, attempt)
            if not isinstance(attempt.outcome, Delivered):
                self._fail(lane, attempt)
                return
            lane.store.remember(message.memory)
            lane.has_told_topology |= message.publication is Publication.SERVICE
            self._succeed(lane)

    def _holds(self, lane: PublishingLane) -> bool:
        return lane.store.hold(self._owner, for_ms=int(lane.longest_turn * 1000) + _LEASE_MARGIN)

    def _look(self, lane: PublishingLane) -> Standing:
        name, at = lane.subject.integration, self._clock.now_ms()
        [backlog] = lane.pulse.backlogs([name])
        state = lane.circuit.read(name)
        return Standing(
            at=at,
            counts=lane.store.counts(),
            pending=backlog.pending,
            oldest=backlog.oldest,
            dead=backlog.dead,
            parked=state.reason if state else None,
            parked_since=state.since if state else None,
        )

    def _count(self, lane: PublishingLane, publication: Publication, attempt: Attempt) -> None:
        outcome = "published" if isinstance(attempt.outcome, Delivered) else str(attempt.outcome.reason)
        metrics.PUBLICATIONS.labels(lane.subject.integration, publication, outcome).inc()

    def _fail(self, lane: PublishingLane, attempt: Attempt) -> None:
        outcome = attempt.outcome
        assert not isinstance(outcome, Delivered)
        is_locked = isinstance(outcome, Park) and outcome.reason is Reason.WRONG_CREDENTIALS
        first, most = (_LOCKED_FIRST, _LOCKED_MOST) if is_locked else (_WAIT_FIRST, _WAIT_MOST)
        lane.wait = min(most, max(first, lane.wait * 2))
        lane.look_at = self._clock.monotonic() + lane.wait
        if lane.failing is not outcome.reason:
            log(
                _LOG,
                logging.WARNING,
                "publishing to IEM fails: it is tried again, and deliveries go on",
                integration=lane.subject.integration,
                reason=outcome.reason,
                http_status=attempt.answer.status,
                fault=attempt.answer.fault,
            )
        lane.failing = outcome.reason

    def _succeed(self, lane: PublishingLane) -> None:
        if lane.failing:
            log(_LOG, logging.INFO, "publishing to IEM works again", integration=lane.subject.integration)
        lane.failing, lane.wait = None, 0.0


def _due(lane: PublishingLane, now: Standing, memory: Mapping[str, str]) -> Iterator[_Message]:
    """Return what is to be told now: what came first in time is told first."""
    publish = lane.publish
    if publish.topology:
        yield from _topology(lane, now, memory)
    if publish.events:
        yield from _events(lane, now, memory)
    if publish.heartbeat is not None and _is_due(memory.get("heartbeat_at"), publish.heartbeat, now.at):
        health, says = judge_health(now, _counts(memory.get("heartbeat_counts")), publish.backlog_age)
        body = reports.heartbeat(lane.subject, now, health, says)
        yield _Message(Publication.HEALTHCHECK, body, _mark("heartbeat", now))
    if publish.metrics is not None and _is_due(memory.get("metrics_at"), publish.metrics, now.at):
        bodies = list(reports.metrics(lane.subject, now, _counts(memory.get("metrics_counts"))))
        for number, one in enumerate(bodies, 1):
            yield _Message(Publication.METRICS, one, _mark("metrics", now) if number == len(bodies) else {})


def _topology(lane: PublishingLane, now: Standing, memory: Mapping[str, str]) -> Iterator[_Message]:
    if lane.has_told_topology and not _is_due(memory.get("topology_at"), _TOPOLOGY_EVERY / 1000, now.at):
        return
    yield _Message(Publication.ENTITY, reports.entity(lane.subject, now.at), {})
    yield _Message(Publication.SERVICE, reports.service(lane.subject), {"topology_at": str(now.at)})


def _events(lane: PublishingLane, now: Standing, memory: Mapping[str, str]) -> Iterator[_Message]:
    told = {problem: Told(**json.loads(text)) for problem in Problem if (text := memory.get(f"told:{problem}"))}
    for notice in notices(now, told, lane.publish.backlog_age):
        text = json.dumps(asdict(notice.told)) if notice.told else None
        yield _Message(
            Publication.EVENTS, reports.event(lane.subject, notice, now.at), {f"told:{notice.problem}": text}
        )


def _is_due(last: str | None, every: float, now: int) -> bool:
    return last is None or not 0 <= now - int(last) < every * 1000


def _mark(what: str, now: Standing) -> dict[str, str | None]:
    return {f"{what}_at": str(now.at), f"{what}_counts": json.dumps(asdict(now.counts))}


def _counts(text: str | None) -> Counts:
    return Counts(**json.loads(text)) if text else Counts()
