"""A simulated deployment: web processes and workers of the real parts, one Redis, and a model of IEM for each integration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from itertools import count
from random import Random
from typing import Any

from simulation.faulty_redis import Expiry, FaultyConnection
from simulation.iem_model import Attempt, Behaviour, IemModel, ModelCaller
from simulation.oracle import StoreOracle
from simulation.scheduler import Process, Scheduler, Task, TaskLock, require

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
from relay.worker.lanes import Lane, LaneSet
from relay.worker.loop import Worker
from relay.worker.maintenance import Maintenance

#: A retention during which nothing is swept (seconds).
_YEARS = 1000 * 86_400.0
#: Attempts in flight of one worker.
POOL_SIZE = 3
#: The lifetime of a token that the relay assumes (seconds).
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
    """Return an integration. `closed` is the IEM state of a closed ticket; a resolved one has 6."""
    text = _MAPPING.format(auth=auth, collapse=str(collapse).lower(), closed=closed)
    parsed = parse_mapping_file(name, text, load_presets())
    assert parsed.integration is not None, parsed.faults
    return parsed.integration


class TaskExecutor(Executor):
    """Makes a task of each attempt, which the simulation runs."""

    def __init__(self, begin: Callable[[Callable[[], object], Assignment], None]) -> None:
        self._begin = begin

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Begin an attempt as a task."""
        [assignment] = [argument for argument in args if isinstance(argument, Assignment)]
        self._begin(lambda: fn(*args, **kwargs), assignment)
        return Future()


class ReclaimingQueue(DeliveryQueue):
    """Reclaims every delivery whose lease has expired, whatever its idle time: that follows Redis's own clock."""

    def reclaim(self, consumer: str, *, min_idle: int, now: int, gone_after: int = 10**9) -> tuple[int, int]:  # noqa: ARG002 - see the class
        """Put back deliveries that a worker took and did not settle."""
        return super().reclaim(consumer, min_idle=0, now=now)


class WebProcess(Process):
    """A web process."""

    def __init__(self, deployment: Deployment, name: str) -> None:
        super().__init__(name)
        self.connection = deployment.connect(self)
        queues = {
            each.name: DeliveryQueue(self.connection, each.name, retention=_YEARS) for each in deployment.integrations
        }
        clock = deployment.scheduler.clock
        self.intake = Intake(queues.__getitem__, now_ms=clock.now_ms, new_id=deployment.new_id)


class WorkerProcess(Process):
    """A worker process."""

    def __init__(self, deployment: Deployment, name: str) -> None:
        super().__init__(name)
        clock = deployment.scheduler.clock
        self._deployment = deployment
        self.connection = deployment.connect(self)
        self.lanes = [self._open_lane(integration) for integration in deployment.integrations]
        self.worker = Worker(
            name,
            LaneSet(self.lanes, POOL_SIZE),
            self.connection,
            Maintenance(name, Heartbeats(self.connection), max_dead=1000, monotonic=clock.monotonic),
            executor=TaskExecutor(self._begin),
            clock=clock,
            chance=deployment.chance,
        )
        #: The current or last turn of its loop.
        self.turn: Task | None = None

    def wake(self) -> None:
        """Make all lanes due, like a wake-up."""
        for lane in self.lanes:
            lane.due_at = 0.0

    def _open_lane(self, integration: Integration) -> Lane:
        deployment, name = self._deployment, integration.name
        client = IemClient(ModelCaller(deployment.iems[name], self), Credentials("u", "p"))
        clock, timeout = deployment.scheduler.clock, integration.iem.timeout
        tokens = TokenCache(
            TokenStore(self.connection, name), client, config="c", lifetime=_TOKEN_LIFE, timeout=timeout, clock=clock
        )
        tokens._fetching = TaskLock(deployment.scheduler).as_lock()
        queue = ReclaimingQueue(self.connection, name, retention=_YEARS)
        service = IemService(client, tokens, auth=integration.iem.auth, timeout=timeout, clock=clock)
        return Lane(integration, queue, service, "c")

    def _begin(self, work: Callable[[], object], assignment: Assignment) -> None:
        task = self._deployment.scheduler.spawn(self, f"{self.name} attempts {assignment.sys_id[-1]}", work)
        self._deployment.attempts[task] = assignment


class Operator(Process):
    """An operator at a console."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__("console")
        connection, clock = deployment.connect(self), deployment.scheduler.clock
        queues = {each.name: DeliveryQueue(connection, each.name, retention=_YEARS) for each in deployment.integrations}
        self._clock = clock
        self._circuit = Circuit(connection)
        self._dead_letters = DeadLetterStore(connection)
        self._deliveries = DeliveryReader(connection)
        self._replay = Replayer(queues.__getitem__, now_ms=clock.now_ms, new_id=deployment.new_id)

    def park(self, integration: Integration) -> None:
        """Park an integration."""
        self._circuit.park(integration.name, actor="operator", why="maintenance", now=self._clock.now_ms())

    def resume(self, integration: Integration) -> None:
        """Resume an integration."""
        self._circuit.resume(integration.name, actor="operator", why="over", now=self._clock.now_ms())

    def replay(self, integration: Integration, delivery_id: str) -> None:
        """Replay a dead letter."""
        dead_letter = self._deliveries.find(integration.name, delivery_id)
        assert dead_letter is not None
        self._replay.replay_dead_letter(integration, dead_letter, actor="operator")

    def discard(self, integration: Integration, delivery_id: str) -> None:
        """Discard a dead letter."""
        self._dead_letters.discard(
            integration.name, [delivery_id], actor="operator", why="obsolete", now=self._clock.now_ms()
        )


class Deployment:
    """All processes, Redis, and the models of IEM."""

    def __init__(self, server: Connection, integrations: Sequence[Integration], seed: int) -> None:
        self.scheduler = Scheduler()
        self.integrations = integrations
        self.oracle = StoreOracle(server)
        self.chance = Random(seed).random
        #: All attempts so far.
        self.attempts: dict[Task, Assignment] = {}
        self.server = server
        self._expiry = Expiry(self.scheduler, server)
        self._numbers = count(1)
        self._connections: list[FaultyConnection] = []
        self._killed = 0
        self.iems = {
            each.name: IemModel(self.scheduler, each.name, self._attempt, lambda: self.faults) for each in integrations
        }
        self.operator = Operator(self)
        self.webs = [self.start_web(), self.start_web()]
        self.workers = [self.start_worker(), self.start_worker()]

    @property
    def faults(self) -> int:
        """The number of failed Redis calls and killed processes so far."""
        return sum(connection.faults for connection in self._connections) + self._killed

    def connect(self, process: Process) -> FaultyConnection:
        """Return a new connection for a process."""
        connection = FaultyConnection(self.scheduler, process, self.server, self._expiry, self.oracle)
        self._connections.append(connection)
        return connection

    def new_id(self, at_ms: int) -> str:
        """Return a unique id."""
        return make_id(at_ms, next(self._numbers).to_bytes(10, "big"))

    def start_web(self) -> WebProcess:
        """Start a web process."""
        return WebProcess(self, f"web-{next(self._numbers)}")

    def start_worker(self) -> WorkerProcess:
        """Start a worker under a new name."""
        return WorkerProcess(self, f"worker-{next(self._numbers)}")

    def receive(self, web: WebProcess, integration: Integration, payload: object, key: str | None) -> Task:
        """Return the task of a web process that accepts a webhook."""
        received_at = self.scheduler.now

        def accept() -> list[Receipt]:
            receipts = web.intake.accept(integration, payload, Sender("servicenow", key), received_at)
            self._check(integration.name, receipts)
            return receipts

        return self.scheduler.spawn(web, f"{web.name} accepts", accept)

    def run(self, task: Task, resumes: int) -> None:
        """Resume a task up to `resumes` times, and replace a web process that dies in it."""
        self.scheduler.run(task, resumes)
        self.replace_dead()

    def run_loop(self, worker: WorkerProcess, resumes: int) -> None:
        """Continue the current turn of a worker's loop, or begin a new one."""
        if worker.turn is None or worker.turn.is_done:
            worker.turn = self.scheduler.spawn(worker, f"{worker.name} turns", worker.worker.turn)
        self.run(worker.turn, resumes)
        if worker.turn.is_done and worker.turn.error is not None:
            raise worker.turn.error

    def kill(self, process: Process) -> None:
        """Kill a process."""
        self._killed += 1
        self.scheduler.kill(process)
        self.replace_dead()

    def replace_dead(self) -> None:
        """Replace dead web processes, as gunicorn does. Dead workers are removed, and not replaced."""
        self.webs = [self.start_web() if web.is_dead else web for web in self.webs]
        self.workers = [worker for worker in self.workers if not worker.is_dead]

    def advance(self, milliseconds: int) -> None:
        """Advance the clock."""
        self.scheduler.advance_to(self.scheduler.now + milliseconds)
        self.replace_dead()

    def end_faults(self) -> None:
        """Let everything work from now on, and resume what is parked by hand."""
        for connection in self._connections:
            connection.clear()
        for iem in self.iems.values():
            iem.behave(Behaviour.WORKS)
        for integration in self.integrations:
            if self.oracle.integration(integration.name).is_parked_by_hand:
                self.operator.resume(integration)

    def connection_of(self, task: Task) -> FaultyConnection:
        """Return the connection of the worker that a task belongs to."""
        return next(worker.connection for worker in self.workers if worker is task.process)

    def _attempt(self) -> Attempt:
        assert self.scheduler.current is not None
        assignment = self.attempts[self.scheduler.current]
        return Attempt(assignment.id, assignment.fence, assignment.sys_id, assignment.is_probe)

    def _check(self, integration: str, receipts: list[Receipt]) -> None:
        accepted = self.oracle.integration(integration).accepted
        for receipt in receipts:
            stored = accepted.get(receipt.id)
            match receipt.status:
                case "queued" | "superseded":
                    require(stored and stored.verdict == receipt.status, "an answered update is stored")
                case "duplicate":
                    require(stored, "a duplicate has the id of a stored delivery")
                case _:
                    require(receipt.status in {"ignored", "rejected"}, "no other status is answered")
