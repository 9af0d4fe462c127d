"""The relay on a stage: web processes and workers with their real parts, one Redis, and an IEM for each integration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from itertools import count
from random import Random
from typing import Any

from simulation.customer import Attempt, Customer, Line, Mood
from simulation.ledger import Ledger
from simulation.stage import Latch, Process, Stage, Task, expect
from simulation.wire import Terms, Wire

from relay.core.ids import make_id
from relay.core.integration import Integration
from relay.http.credentials import Credentials
from relay.iem.calls import IemClient
from relay.iem.service import IemService
from relay.iem.token_cache import TokenCache
from relay.intake.accept import Intake, Receipt, Sender
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets
from relay.operations.replayer import Replayer
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.dead_letter_store import DeadLetterStore
from relay.store.delivery_queue import DeliveryQueue
from relay.store.delivery_reader import DeliveryReader
from relay.store.heartbeats import Heartbeats
from relay.store.settlements import Assignment
from relay.store.token_store import TokenStore
from relay.worker.attempts import AttemptPool
from relay.worker.lanes import Lane
from relay.worker.loop import Worker
from relay.worker.maintenance import Maintenance

#: Nothing is swept while an example runs (seconds).
_YEARS = 1000 * 86_400.0
#: Pushes at once, of one worker.
CREW = 3
#: Life of a token, as the relay assumes it (seconds).
_TOKEN_LIFE = 1800.0

_MAPPING = """
source: servicenow
auth: none
states: {{6: 6, 7: {closed}}}
dedupe: {{collapse: {collapse}, window: 1h}}
iem: {{url: "http://127.0.0.1:9", customer_id: ACME, integration_id: "42", auth: {auth}, username: u, password: {{env: PASSWORD}},
  max_in_flight: 2}}
"""


def make_integration(name: str, *, auth: str, collapse: bool, closed: int) -> Integration:
    """Return an integration; `closed` is the IEM state of a ticket that was closed, where a resolved one has 6."""
    text = _MAPPING.format(auth=auth, collapse=str(collapse).lower(), closed=closed)
    made = parse_mapping_file(name, text, load_presets())
    assert made.integration is not None, made.faults
    return made.integration


class Pool(Executor):
    """Keeps what a worker wants to have attempted: as tasks, for whoever lets them go on."""

    def __init__(self, begin: Callable[[Callable[[], object], Assignment], None]) -> None:
        self._begin = begin

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Keep an attempt."""
        [assignment] = [one for one in args if isinstance(one, Assignment)]
        self._begin(lambda: fn(*args, **kwargs), assignment)
        return Future()


class ImpatientQueue(DeliveryQueue):
    """Takes back whatever has no lease any more: Redis's own clock, by which it idles, stands still here."""

    def reclaim(self, consumer: str, *, min_idle: int, now: int, gone_after: int = 10**9) -> tuple[int, int]:  # noqa: ARG002 - see above
        """Put back what workers took and never settled."""
        return super().reclaim(consumer, min_idle=0, now=now)


class WebProcess(Process):
    """A process that accepts webhooks."""

    def __init__(self, site: Site, name: str) -> None:
        super().__init__(name)
        self.wire = site.connect(self)
        queues = {one.name: DeliveryQueue(self.wire, one.name, retention=_YEARS) for one in site.integrations}
        clock = site.stage.clock
        self.intake = Intake(queues.__getitem__, now_ms=clock.now_ms, new_id=site.new_id)


class WorkerProcess(Process):
    """A process that delivers."""

    def __init__(self, site: Site, name: str) -> None:
        super().__init__(name)
        self._site = site
        self.wire = site.connect(self)
        self.lanes = [self._open_lane(one) for one in site.integrations]
        self.worker = Worker(
            name,
            self.lanes,
            self.wire,
            AttemptPool(Pool(self._begin), CREW),
            Maintenance(name, Heartbeats(self.wire), max_dead=1000, monotonic=site.stage.clock.monotonic),
            clock=site.stage.clock,
            chance=site.chance,
        )
        #: Its loop, where that is in the middle of a turn.
        self.turn: Task | None = None

    def wake(self) -> None:
        """Have it look at everything at its next turn, as after a wake-up."""
        for lane in self.lanes:
            lane.due_at = 0.0

    def _open_lane(self, integration: Integration) -> Lane:
        site, name = self._site, integration.name
        client = IemClient(Line(site.customers[name], self), Credentials("u", "p"))
        clock, timeout = site.stage.clock, integration.iem.timeout
        tokens = TokenCache(
            TokenStore(self.wire, name), client, config="c", lifetime=_TOKEN_LIFE, timeout=timeout, clock=clock
        )
        tokens._fetching = Latch(site.stage).as_lock()
        queue = ImpatientQueue(self.wire, name, retention=_YEARS)
        service = IemService(client, tokens, auth=integration.iem.auth, timeout=timeout, clock=clock)
        return Lane(integration, queue, service, "c")

    def _begin(self, work: Callable[[], object], assignment: Assignment) -> None:
        task = self._site.stage.begin(self, f"{self.name} attempts {assignment.sys_id[-1]}", work)
        self._site.attempts[task] = assignment


class Operator(Process):
    """Somebody at the console."""

    def __init__(self, site: Site) -> None:
        super().__init__("console")
        wire, clock = site.connect(self), site.stage.clock
        queues = {one.name: DeliveryQueue(wire, one.name, retention=_YEARS) for one in site.integrations}
        self._clock = clock
        self._circuit = Circuit(wire)
        self._dead_letters = DeadLetterStore(wire)
        self._deliveries = DeliveryReader(wire)
        self._replay = Replayer(queues.__getitem__, now_ms=clock.now_ms, new_id=site.new_id)

    def park(self, integration: Integration) -> None:
        """Have nothing delivered."""
        self._circuit.park(integration.name, actor="operator", why="maintenance", now=self._clock.now_ms())

    def resume(self, integration: Integration) -> None:
        """Have it go on, or probed."""
        self._circuit.resume(integration.name, actor="operator", why="over", now=self._clock.now_ms())

    def replay(self, integration: Integration, an_id: str) -> None:
        """Have a dead letter delivered after all."""
        letter = self._deliveries.find(integration.name, an_id)
        assert letter is not None
        self._replay.replay_letter(integration, letter, actor="operator")

    def discard(self, integration: Integration, an_id: str) -> None:
        """Close a dead letter."""
        self._dead_letters.discard(
            integration.name, [an_id], actor="operator", why="obsolete", now=self._clock.now_ms()
        )


class Site:
    """Everything there is."""

    def __init__(self, server: Connection, integrations: Sequence[Integration], seed: int) -> None:
        self.stage = Stage()
        self.integrations = integrations
        self.ledger = Ledger(server)
        self.chance = Random(seed).random
        #: The attempts that were ever handed to a pool.
        self.attempts: dict[Task, Assignment] = {}
        self.server = server
        self._terms = Terms(self.stage, server)
        self._numbers = count(1)
        self._wires: list[Wire] = []
        self._killed = 0
        self.customers = {
            one.name: Customer(self.stage, one.name, self._attempt, lambda: self.faults) for one in integrations
        }
        self.operator = Operator(self)
        self.webs = [self.start_web(), self.start_web()]
        self.workers = [self.start_worker(), self.start_worker()]

    @property
    def faults(self) -> int:
        """How many calls of Redis had a fate so far, and processes were killed."""
        return sum(wire.faults for wire in self._wires) + self._killed

    def connect(self, process: Process) -> Wire:
        """Return a process's connection."""
        wire = Wire(self.stage, process, self.server, self._terms, self.ledger)
        self._wires.append(wire)
        return wire

    def new_id(self, at_ms: int) -> str:
        """Return an id that no other has."""
        return make_id(at_ms, next(self._numbers).to_bytes(10, "big"))

    def start_web(self) -> WebProcess:
        """Return a new web process."""
        return WebProcess(self, f"web-{next(self._numbers)}")

    def start_worker(self) -> WorkerProcess:
        """Return a new worker, under a name of its own."""
        return WorkerProcess(self, f"worker-{next(self._numbers)}")

    def receive(self, web: WebProcess, integration: Integration, payload: object, key: str | None) -> Task:
        """Return the request that a webhook is."""
        received_at = self.stage.now

        def accept() -> list[Receipt]:
            receipts = web.intake.accept(integration, payload, Sender("servicenow", key), received_at)
            self._check(integration.name, receipts)
            return receipts

        return self.stage.begin(web, f"{web.name} accepts", accept)

    def go_on(self, task: Task, steps: int) -> None:
        """Let a task go on; processes that died in it are replaced, web at once."""
        self.stage.go_on(task, steps)
        self.bury()

    def work(self, worker: WorkerProcess, steps: int) -> None:
        """Let a worker's loop go on: with the turn that it is in, or a new one."""
        if worker.turn is None or worker.turn.is_done:
            worker.turn = self.stage.begin(worker, f"{worker.name} turns", worker.worker.turn)
        self.go_on(worker.turn, steps)
        if worker.turn.is_done and worker.turn.error is not None:
            raise worker.turn.error

    def kill(self, process: Process) -> None:
        """End a process."""
        self._killed += 1
        self.stage.kill(process)
        self.bury()

    def bury(self) -> None:
        """Forget who died: gunicorn starts another web process at once, workers come later."""
        self.webs = [self.start_web() if web.is_dead else web for web in self.webs]
        self.workers = [worker for worker in self.workers if not worker.is_dead]

    def pass_time(self, milliseconds: int) -> None:
        """Let time pass."""
        self.stage.pass_time_until(self.stage.now + milliseconds)
        self.bury()

    def make_peace(self) -> None:
        """From here on everything works."""
        for wire in self._wires:
            wire.spare()
        for customer in self.customers.values():
            customer.turn(Mood.WORKS)
        for integration in self.integrations:
            if self.ledger.book(integration.name).is_parked_by_hand:
                self.operator.resume(integration)

    def wire_of(self, task: Task) -> Wire:
        """Return the connection of the worker that a task is part of."""
        return next(worker.wire for worker in self.workers if worker is task.process)

    def _attempt(self) -> Attempt:
        assert self.stage.on is not None
        assignment = self.attempts[self.stage.on]
        return Attempt(assignment.id, assignment.fence, assignment.sys_id, assignment.is_probe)

    def _check(self, integration: str, receipts: list[Receipt]) -> None:
        accepted = self.ledger.book(integration).accepted
        for receipt in receipts:
            stored = accepted.get(receipt.id)
            match receipt.status:
                case "queued" | "superseded":
                    expect(stored and stored.verdict == receipt.status, "what is answered is stored")
                case "duplicate":
                    expect(stored, "a duplicate names the first delivery")
                case _:
                    expect(receipt.status in {"ignored", "rejected"}, "nothing else is answered")
