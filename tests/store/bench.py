"""A test bench for the queue of one integration, with a virtual clock. A webhook, a worker or an answer of IEM takes one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from relay.core.ids import make_id
from relay.core.integration import Integration
from relay.core.model import FieldError, Ignored, Mapped, Rejected, TicketFields, Update
from relay.core.outcomes import Dead, Delivered, IemAnswer, Outcome, Park, Retry, classify_push
from relay.core.reasons import Reason
from relay.core.retry import retry_delay
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets
from relay.store.connection import Connection, pairs
from relay.store.delivery_queue import DeliveryQueue
from relay.store.keys import key
from relay.store.settlements import Assignment, Settlement, TakeResult
from relay.store.submissions import Submission, Verdict

#: Milliseconds.
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_790_000_000_000
LEASE = 35 * SECOND
RETENTION = 30 * DAY

DELIVERED = Delivered()
REFUSED = Dead(Reason.REFUSED)
NOT_NOW = Retry(Reason.NOT_NOW)
NOT_FOUND = Retry(Reason.NOT_FOUND)
UNREACHABLE = Retry(Reason.UNREACHABLE)
BUG = Retry(Reason.BUG)
WRONG_CREDENTIALS = Park(Reason.WRONG_CREDENTIALS)
TOKEN_REFUSED = Park(Reason.TOKEN_REFUSED)

#: A member begins with an id, which a packed record can follow.
_LISTED = """
local ids = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do ids[#ids + 1] = string.match(member, '^%w+') end
return ids
"""

MAPPING = """
source: servicenow
auth: none
iem: {url: "http://127.0.0.1:9", customer_id: ACME, integration_id: "42", username: u, password: {env: ACME_IEM_PASSWORD}}
"""


def make_integration(name: str = "acme", *, window: int = DAY, collapse: bool = True) -> Integration:
    """Return an integration with the default settings; `window` in milliseconds."""
    made = parse_mapping_file(name, MAPPING, load_presets()).integration
    assert made is not None
    return replace(made, dedupe=replace(made.dedupe, window=window / SECOND, collapse=collapse))


def sys_id(ticket: int) -> str:
    """Return the sys_id of a ticket."""
    return f"{ticket:032x}"


def ticket_fields(ticket: int, version: str | None, updated_at: int | None) -> TicketFields:
    """Return what every record of a ticket says."""
    return TicketFields(
        sys_id(ticket),
        itsm_state="6",
        table="incident",
        number=f"INC{ticket:07d}",
        version=version,
        updated_at=updated_at,
        resolved_by="beth.anglin@example.com",
    )


def resolution(version: str | None = None, *, ticket: int = 1, state: int = 6, updated_at: int | None = None) -> Update:
    """Return an update with a state that is relayed."""
    return Update(ticket_fields(ticket, version, updated_at), state)


def reopening(version: str | None = None, *, ticket: int = 1, updated_at: int | None = None) -> Ignored:
    """Return an update with a state that is not relayed."""
    return Ignored(ticket_fields(ticket, version, updated_at), "state 2 is not listed in the mapping's `states`")


def unmappable(record: object) -> Rejected:
    """Return the mapping's result for a record without a sys_id."""
    return Rejected((FieldError("sys_id", "no value at `sys_id`"),), record)


def outcome_of(status: int) -> Outcome:
    """Return the outcome of an answer of IEM with `status` and no message."""
    outcome = classify_push(IemAnswer(status), "basic")
    assert isinstance(outcome, Delivered | Retry | Park | Dead)
    return outcome


@dataclass(frozen=True, slots=True)
class ListedAttempt:
    """An attempt as a delivery's record lists it."""

    at: int
    outcome: str
    reason: str
    counted: bool


class Bench:
    """One integration in Redis. Its clock (`now`, Unix ms) advances only by `wait`."""

    def __init__(
        self, redis: Connection, integration: Integration | None = None, *, retention: int = RETENTION
    ) -> None:
        self.redis = redis
        self.integration = integration or make_integration()
        self.name = self.integration.name
        self.queue = DeliveryQueue(redis, self.name, retention=retention / SECOND)
        self.now = START
        self.config = "config-1"
        self._ids = count(1)

    def wait(self, milliseconds: int) -> None:
        """Advance the clock."""
        self.now += milliseconds

    def key(self, name: str) -> str:
        """Return the name of one of the integration's keys."""
        return key(self.name, name)

    # Webhooks

    def new_id(self) -> str:
        """Return an id that sorts after all previous ones."""
        return make_id(self.now, next(self._ids).to_bytes(10, "big"))

    def submission(
        self, mapped: Mapped, *, idempotency_key: str | None = None, received_at: int | None = None
    ) -> Submission:
        """Return a submission, received now unless `received_at` is given."""
        at = self.now if received_at is None else received_at
        return Submission(self.new_id(), mapped, at, "servicenow", idempotency_key)

    def accept(self, mapped: Mapped, *, idempotency_key: str | None = None, received_at: int | None = None) -> Verdict:
        """Accept a webhook with one record, and return the verdict."""
        [verdict] = self.submit([self.submission(mapped, idempotency_key=idempotency_key, received_at=received_at)])
        return verdict

    def submit(self, submissions: Sequence[Submission]) -> list[Verdict]:
        """Accept a webhook with several records, and return the verdicts."""
        return self.queue.accept(self.integration, submissions, self.now)

    def accept_new(self, mapped: Mapped) -> str:
        """Accept a new update, and return the id of its delivery."""
        verdict = self.accept(mapped)
        assert verdict.status == "queued"
        return verdict.id

    def accept_tickets(self, *tickets: int) -> list[str]:
        """Accept a resolution of each ticket, one millisecond apart, and return the ids of their deliveries."""
        ids = []
        for ticket in tickets:
            ids.append(self.accept_new(resolution("1", ticket=ticket)))
            self.wait(1)
        return ids

    def make_dead_letter(self, update: Mapped) -> str:
        """Accept an update that IEM refuses, and return the id of its dead letter."""
        dead_letter = self.accept_new(update)
        assert self.attempt(REFUSED) == "dead"
        return dead_letter

    # Workers

    def take(self, limit: int = 10, *, worker: str = "worker-1", config: str | None = None) -> TakeResult:
        """Let a worker take up to `limit` deliveries."""
        return self.queue.take(worker, limit, lease=LEASE, config=config or self.config, now=self.now)

    def take_ids(self, limit: int = 10, *, worker: str = "worker-1") -> list[str]:
        """Let a worker take up to `limit` deliveries, and return their ids."""
        return [assignment.id for assignment in self.take(limit, worker=worker).assignments]

    def take_one(self, *, worker: str = "worker-1", config: str | None = None) -> Assignment:
        """Let a worker take one delivery."""
        [assignment] = self.take(1, worker=worker, config=config).assignments
        return assignment

    def settle(self, assignment: Assignment, outcome: Outcome | None, *, delay: int | None = None) -> str:
        """Settle an attempt, and return the delivery's status."""
        [status] = self.settle_all([self.settlement(assignment, outcome, delay=delay)])
        return status

    def settle_all(self, settlements: Sequence[Settlement]) -> list[str]:
        """Settle several attempts in one step, and return the deliveries' statuses."""
        return self.queue.settle(settlements, now=self.now)

    def settlement(self, assignment: Assignment, outcome: Outcome | None, *, delay: int | None = None) -> Settlement:
        """Return a settlement as a worker makes it; without `delay`, the integration's retry schedule applies."""
        schedule = self.integration.retry
        scheduled = int(retry_delay(schedule, assignment.tries + 1, None, 0.5) * SECOND)
        return Settlement(
            assignment,
            outcome,
            at=self.now,
            duration=40,
            status=None,
            delay=scheduled if delay is None else delay,
            give_up_after=int(schedule.give_up_after * SECOND),
        )

    def attempt(self, outcome: Outcome | None, *, delay: int | None = None) -> str:
        """Take one delivery and settle it at once; return its status."""
        return self.settle(self.take_one(), outcome, delay=delay)

    def reclaim(self, *, worker: str = "worker-2") -> tuple[int, int]:
        """Put back the deliveries whose lease has ended. Their idle time by Redis's own clock is not checked."""
        return self.queue.reclaim(worker, min_idle=0, now=self.now)

    # What Redis stores

    def record(self, delivery_id: str) -> Mapping[str, str]:
        """Return a delivery's record, empty if it is not known."""
        found = self.redis.run("find", self.key("queue"), [0, delivery_id])
        return pairs(found[0][1]) if found else {}

    def status(self, delivery_id: str) -> str:
        """Return a delivery's status as it is stored."""
        return self.record(delivery_id)["status"]

    def attempts(self, delivery_id: str) -> list[ListedAttempt]:
        """Return the attempts that a record lists."""
        record = self.record(delivery_id)
        return [_read_attempt(record[f"a{number + 1}"]) for number in range(int(record.get("attempts", 0)))]

    def ticket(self, ticket: int = 1) -> dict[str, str]:
        """Return the fields of a ticket, with its mark split into three fields."""
        fields = dict(self.hash(f"t:{sys_id(ticket)}"))
        mark = zip(("received_at", "updated_at", "version"), fields.pop("mark", "").split(), strict=False)
        return fields | {name: value for name, value in mark if value != "-"}

    def circuit(self) -> Mapping[str, str]:
        """Return the fields of the integration's circuit."""
        return self.hash("circuit")

    @property
    def parked(self) -> str | None:
        """Why the integration is parked, or None."""
        return self.circuit().get("reason")

    def listed(self, status: str) -> list[str]:
        """Return the ids of the deliveries with a status, oldest first."""
        found = self.redis.call("EVAL", _LISTED, 1, self.key(f"in:{status}"))
        return [str(delivery_id) for delivery_id in found]

    def hash(self, name: str) -> Mapping[str, str]:
        return pairs(self.redis.call("HGETALL", self.key(name)))


def _read_attempt(line: str) -> ListedAttempt:
    at, outcome, reason, _, _, counted = line.split("|")
    return ListedAttempt(int(at), outcome, reason, counted == "1")


def park_down(bench: Bench) -> list[str]:
    """Park an integration as `down` by the failures of five tickets, and return their deliveries."""
    ids = bench.accept_tickets(1, 2, 3, 4, 5)
    for _ in range(5):
        bench.attempt(UNREACHABLE)
    assert bench.parked == "down"
    return ids


def park_not_found(bench: Bench) -> list[str]:
    """Park an integration as `not_found` by five unknown tickets, and return their deliveries."""
    ids = bench.accept_tickets(1, 2, 3, 4, 5)
    for _ in range(5):
        bench.attempt(NOT_FOUND)
    assert bench.parked == "not_found"
    return ids


def wait_for_probe(bench: Bench, *, worker: str = "worker-1") -> Assignment:
    """Advance the clock until a probe is due, and take it."""
    taken = bench.take(worker=worker)
    if not taken.assignments:
        assert taken.look_again_at is not None
        bench.wait(taken.look_again_at - bench.now)
        taken = bench.take(worker=worker)
    [probe] = taken.assignments
    assert probe.is_probe
    return probe
