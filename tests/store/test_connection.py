"""A Redis that is away, hangs, restarts, loads or forgets its scripts; one of several hosts. Each within its time."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import RedisServer, free_port, redis_binary, wait_until
from store.bench import DELIVERED, LEASE, NOT_NOW, SECOND, Bench, resolution, sys_id

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.store.durability import read_durability
from relay.store.embedded import answers
from relay.store.heartbeats import Heartbeats
from relay.store.keys import WAKE_CHANNEL
from relay.store.token_store import StoredToken, TokenStore

#: How long the connections of these tests wait for an answer, and what a test allows beyond it (seconds).
PATIENCE, SLACK = 0.4, 0.8


@dataclass(slots=True)
class Server:
    """A Valkey on a TCP port, with whatever options."""

    folder: Path
    port: int
    options: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Start it; it may not answer yet."""
        own = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--loglevel", "warning")
        command = [str(redis_binary()), *self.options, *own, *more]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Kill it, if it runs."""
        if self.process and self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGKILL)
            self.process.wait()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"


Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return what starts a Valkey with options and waits until it answers."""
    started: list[Server] = []

    def start(*options: str, url: str = "redis://{address}") -> Server:
        folder = tmp_path / f"server-{len(started)}"
        folder.mkdir()
        server = Server(folder, free_port(), options)
        started.append(server)
        server.start()
        wait_until(lambda: answers(url.format(address=server.address)), "Valkey answers")
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, whose append-only file is written before each answer (`everysec` can be late)."""
    server = RedisServer(tmp_path, fsync="always").start()
    yield server
    server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Connection]]:
    """Return what opens a connection that is not patient."""
    opened: list[Connection] = []

    def open_one(url: str) -> Connection:
        opened.append(Connection(url, timeout=PATIENCE, connect_timeout=PATIENCE))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


Connect = Callable[[str], Connection]
ASK: list[Callable[[Connection], object]] = [
    lambda connection: connection.call("GET", "x"),
    lambda connection: connection.run("backlog", "relay:{acme}:queue", [0]),
    lambda connection: connection.subscribe(WAKE_CHANNEL),
]


def time_to_give_up(ask: Callable[[], object]) -> float:
    """Return after how many seconds `ask` says that Redis is not available."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        ask()
    return time.monotonic() - began


# Away


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize(
    "url",
    [
        "unix:///nowhere/redis.sock",
        "redis://127.0.0.1:{port}/0",
        "redis+sentinel://127.0.0.1:{port}/mymaster/0",
        "redis+cluster://127.0.0.1:{port}",
    ],
)
def test_a_redis_that_is_away_is_said_to_be_at_once(
    connect: Connect, url: str, ask: Callable[[Connection], object]
) -> None:
    connection = connect(url.format(port=free_port()))

    assert time_to_give_up(lambda: ask(connection)) < SLACK


@pytest.mark.parametrize(
    "url", ["redis://relay:s3cret-pw@127.0.0.1:{port}/0", "redis+cluster://:s3cret-pw@127.0.0.1:{port}"]
)
def test_no_error_tells_the_password(connect: Connect, url: str) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        connect(url.format(port=free_port())).call("PING")

    assert "s3cret" not in str(caught.value)


# Hanging


@pytest.mark.parametrize("ask", ASK[:2])  # a subscriber asks nothing: it waits for what comes
def test_a_redis_that_hangs_is_given_up_in_time(
    server: RedisServer, connect: Connect, ask: Callable[[Connection], object]
) -> None:
    connection = connect(server.url)
    connection.call("PING")
    server.send(signal.SIGSTOP)

    elapsed = time_to_give_up(lambda: ask(connection))

    server.send(signal.SIGCONT)
    assert elapsed < PATIENCE + SLACK
    assert connection.call("PING")


def test_a_redis_that_hangs_before_the_first_word_is_given_up_in_time(server: RedisServer, connect: Connect) -> None:
    server.send(signal.SIGSTOP)

    elapsed = time_to_give_up(lambda: connect(server.url).call("PING"))

    assert elapsed < PATIENCE + SLACK


def test_threads_do_not_wait_for_one_another_while_redis_hangs(server: RedisServer, connect: Connect) -> None:
    connection = connect(server.url)
    server.send(signal.SIGSTOP)
    together = threading.Barrier(8)

    def ask() -> float:
        together.wait()
        return time_to_give_up(lambda: connection.call("PING"))

    with ThreadPoolExecutor(8) as pool:
        elapsed = [one.result() for one in [pool.submit(ask) for _ in range(8)]]

    assert max(elapsed) < PATIENCE + SLACK


def test_a_command_that_timed_out_is_not_sent_again(server: RedisServer, connect: Connect) -> None:
    connection = connect(server.url)
    connection.call("SET", "counter", 0)
    server.send(signal.SIGSTOP)
    time_to_give_up(lambda: connection.call("INCR", "counter"))
    server.send(signal.SIGCONT)

    # Redis reads what came while it hung, connection by connection, before it takes new ones.
    assert int(connection.call("GET", "counter")) <= 1


def test_an_accept_whose_answer_is_lost_can_be_repeated(server: RedisServer, connect: Connect) -> None:
    bench = Bench(connect(server.url))
    bench.accept_new(resolution("1", ticket=2))
    submission = bench.submission(resolution("1"))
    server.send(signal.SIGSTOP)
    time_to_give_up(lambda: bench.submit([submission]))
    server.send(signal.SIGCONT)

    [verdict] = bench.submit([submission])

    assert (verdict.status, verdict.id) == ("queued", submission.id)
    assert len(bench.take_ids()) == 2


# Restarting


def test_connections_that_a_restart_made_stale_are_healed_within_the_same_call(
    server: RedisServer, connect: Connect
) -> None:
    connection = connect(server.url)
    together = threading.Barrier(8)

    def ask(_: int) -> object:
        together.wait()
        return connection.call("PING")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
        server.stop()
        server.start()

        found = list(pool.map(ask, range(8)))

    assert found == [True] * 8


@pytest.mark.parametrize("ask", ASK)
def test_a_restart_between_two_calls_is_not_noticed(
    server: RedisServer, connect: Connect, ask: Callable[[Connection], object]
) -> None:
    connection = connect(server.url)
    connection.call("PING")
    server.stop()
    server.start()

    ask(connection)


def test_what_was_accepted_survives_a_kill_of_redis(server: RedisServer, connect: Connect) -> None:
    bench = Bench(connect(server.url))
    ids = bench.accept_tickets(1, 2, 3)
    in_flight = bench.take_one()
    server.stop()
    server.start()

    assert bench.settle(in_flight, DELIVERED) == "delivered"
    assert bench.take_ids() == ids[1:]


def test_a_closed_connection_opens_again(server: RedisServer, connect: Connect) -> None:
    connection = connect(server.url)
    connection.call("PING")

    connection.close()

    assert connection.call("PING")


# Forgetting and loading


@pytest.mark.parametrize("flush", [("SCRIPT", "FLUSH"), ("SCRIPT", "FLUSH", "ASYNC")])
def test_a_redis_that_forgot_its_scripts_gets_them_again(bench: Bench, flush: tuple[str, ...]) -> None:
    [delivery] = bench.accept_tickets(1)
    bench.redis.call(*flush)
    assignment = bench.take_one()
    bench.redis.call(*flush)

    assert bench.settle(assignment, DELIVERED) == "delivered"

    bench.redis.call(*flush)
    assert bench.accept(resolution("1")).id == delivery
    assert bench.reclaim() == (0, 0)


def test_a_redis_that_loads_its_data_is_not_available_yet(serve: Serve, connect: Connect) -> None:
    server = serve("--save", "", "--appendonly", "no")
    connection = connect(f"redis://{server.address}")
    connection.call("EVAL", "for i = 1, 500 do redis.call('SET', 'k' .. i, string.rep('x', 100)) end", 0)
    connection.call("SAVE")
    server.stop()
    server.start("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
    patient = Connection(f"redis://{server.address}", timeout=5)
    wait_until(lambda: "loading" in what_is_wrong(patient), "Valkey says that it loads")

    wait_until(lambda: what_is_wrong(patient) == "", "Valkey has loaded")

    assert patient.call("GET", "k500")
    patient.close()


def what_is_wrong(connection: Connection) -> str:
    """Return what Redis says instead of an answer, or nothing."""
    try:
        connection.call("GET", "k1")
    except StoreUnavailableError as error:
        return str(error)
    return ""


# Several hosts


def run_the_queue(connection: Connection) -> None:
    """Take two deliveries all the way, with everything that talks to Redis on it."""
    bench = Bench(connection)
    subscriber = connection.subscribe(WAKE_CHANNEL)
    first, second = bench.accept_tickets(1, 2)
    wait_until(lambda: subscriber.next(timeout=0.1), "the wake-up")
    subscriber.close()
    assert bench.attempt(DELIVERED) == "delivered"
    assert bench.attempt(NOT_NOW, delay=SECOND) == "retrying"
    bench.wait(SECOND)
    assert bench.take_ids() == [second]
    bench.wait(LEASE)
    assert bench.reclaim() == (1, 0)
    assert bench.accept(resolution("1")).id == first
    assert bench.ticket()["last"] == first
    tokens = TokenStore(connection, "acme")
    tokens.save(StoredToken("account", 0, "token", expires_at=60_000), now=0)
    wanted = StoredToken("account", 1, is_replacement=True)
    tokens.replace("token", wanted)
    assert tokens.load() == wanted
    owner = tokens.lock(for_ms=1000)
    assert owner
    tokens.unlock(owner)
    heartbeats = Heartbeats(connection)
    heartbeats.beat("worker-1", bench.now)
    heartbeats.probe_write(bench.now)
    assert heartbeats.workers() == {"worker-1": bench.now}
    assert [backlog.pending for backlog in heartbeats.backlogs(["acme"])] == [1]
    durability = read_durability(connection)
    assert (f"{durability.server}-server", durability.appendonly) == (redis_binary().name, True)


def is_whole(connection: Connection) -> bool:
    """Tell whether a cluster takes commands."""
    try:
        connection.call("SET", "whole", 1)
    except StoreUnavailableError:
        return False
    return True


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A cluster of one node, with the password `p@ss/word`."""
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--appendfsync", "always")
    server = Server(
        tmp_path_factory.mktemp("cluster"), free_port(), (*options, "--appendonly", "yes", "--requirepass", "p@ss/word")
    )
    server.start()
    url = f"redis://:p%40ss%2Fword@{server.address}"
    wait_until(lambda: answers(url), "Valkey answers")
    plain = Connection(url, timeout=5)
    plain.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(lambda: is_whole(plain), "the cluster is whole")
    plain.close()
    yield server
    server.stop()


@pytest.fixture
def cluster_url(cluster: Server) -> str:
    """The cluster's URL, whose other host is away; it is empty."""
    url = f"redis+cluster://:p%40ss%2Fword@127.0.0.1:{free_port()},{cluster.address}"
    connection = Connection(url, timeout=5)
    connection.call("FLUSHALL")
    connection.close()
    return url


def test_a_cluster_carries_the_queue(cluster_url: str, connect: Connect) -> None:
    run_the_queue(connect(cluster_url))


def test_a_cluster_that_goes_away_and_comes_back_is_waited_out(
    cluster: Server, cluster_url: str, connect: Connect
) -> None:
    bench = Bench(connect(cluster_url))
    [delivery] = bench.accept_tickets(1)
    cluster.stop()

    elapsed = [time_to_give_up(bench.take) for _ in range(3)]
    cluster.start()
    wait_until(lambda: is_whole(bench.redis), "the cluster is whole again")

    assert max(elapsed) < SLACK
    assert bench.take_ids() == [delivery]


def test_a_cluster_that_hangs_is_given_up_within_twice_the_time(
    cluster: Server, cluster_url: str, connect: Connect
) -> None:
    known, new = connect(cluster_url), connect(cluster_url)
    known.call("GET", "x")
    cluster.send(signal.SIGSTOP)

    # redis-py asks once more who has which slots, before it gives up.
    elapsed = [time_to_give_up(lambda: known.call("GET", "x")), time_to_give_up(lambda: new.call("GET", "x"))]

    cluster.send(signal.SIGCONT)
    assert elapsed[0] < 2 * PATIENCE + SLACK
    assert elapsed[1] < PATIENCE + SLACK
    assert new.call("SET", "x", 1)


def test_a_cluster_without_all_its_slots_is_not_available(serve: Serve, connect: Connect) -> None:
    server = serve("--cluster-enabled", "yes", "--cluster-port", str(free_port()))

    assert time_to_give_up(lambda: connect(f"redis+cluster://{server.address}").call("GET", "x")) < SLACK


@dataclass(frozen=True, slots=True)
class Watched:
    """A Redis, and the sentinel that names it."""

    master: Server
    sentinel: Server

    def url(self, *, others: int = 1) -> str:
        """Return the URL of database 1; `others` sentinels that are away stand before the one that is there."""
        away = "".join(f"127.0.0.1:{free_port()}," for _ in range(others))
        return f"redis+sentinel://:p%40ss@{away}{self.sentinel.address}/mymaster/1"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A Redis with the password `p@ss`, and a sentinel."""
    options = ("--appendonly", "yes", "--requirepass", "p@ss")
    master = Server(tmp_path_factory.mktemp("master"), free_port(), options)
    folder = tmp_path_factory.mktemp("sentinel")
    file = folder / "sentinel.conf"
    file.write_text(f"sentinel monitor mymaster 127.0.0.1 {master.port} 1\nsentinel auth-pass mymaster p@ss\n")
    pair = Watched(master, Server(folder, free_port(), (str(file), "--sentinel")))
    master.start()
    wait_until(lambda: answers(f"redis://:p%40ss@{master.address}"), "Valkey answers")
    pair.sentinel.start()
    wait_until(lambda: answers(pair.url(others=0)), "the sentinel names its master")
    yield pair
    pair.sentinel.stop()
    master.stop()


def test_sentinels_lead_to_the_queue(watched: Watched, connect: Connect) -> None:
    run_the_queue(connect(watched.url()))

    in_database_1 = connect(f"redis://:p%40ss@{watched.master.address}/1")
    assert in_database_1.call("EXISTS", f"relay:{{acme}}:t:{sys_id(1)}") == 1


def test_sentinels_that_hang_are_given_up_in_time(watched: Watched, connect: Connect) -> None:
    hanging = ",".join([watched.sentinel.address] * 3)
    watched.sentinel.send(signal.SIGSTOP)

    elapsed = time_to_give_up(lambda: connect(f"redis+sentinel://:p%40ss@{hanging}/mymaster").call("PING"))

    watched.sentinel.send(signal.SIGCONT)
    assert elapsed < PATIENCE + SLACK


def test_a_master_that_hangs_is_given_up_in_time(watched: Watched, connect: Connect) -> None:
    connection = connect(watched.url())
    connection.call("PING")
    watched.master.send(signal.SIGSTOP)

    elapsed = [time_to_give_up(lambda: connection.call("PING")) for _ in range(2)]

    watched.master.send(signal.SIGCONT)
    assert max(elapsed) < PATIENCE + SLACK
    wait_until(lambda: what_is_wrong(connection) == "", "the master answers again")
