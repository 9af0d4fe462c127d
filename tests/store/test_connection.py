"""A Redis that is unreachable, hangs, restarts, loads its data or has lost its scripts. Each call ends in time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import RedisServer, free_port, wait_until
from store.bench import DELIVERED, Bench, resolution
from store.servers import SLACK, TIMEOUT, Connect, Serve, error_of, seconds_until_unavailable

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.store.keys import WAKE_CHANNEL

ASK: list[Callable[[Connection], object]] = [
    lambda connection: connection.call("GET", "x"),
    lambda connection: connection.run("backlog", "relay:{acme}:queue", [0]),
    lambda connection: connection.subscribe(WAKE_CHANNEL),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for this test, which writes its append-only file before each answer."""
    server = RedisServer(tmp_path, fsync="always").start()
    yield server
    server.stop()


# Unreachable


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
def test_an_unreachable_redis_is_reported_at_once(
    connect: Connect, url: str, ask: Callable[[Connection], object]
) -> None:
    connection = connect(url.format(port=free_port()))

    assert seconds_until_unavailable(lambda: ask(connection)) < SLACK


@pytest.mark.parametrize(
    "url", ["redis://relay:s3cret-pw@127.0.0.1:{port}/0", "redis+cluster://:s3cret-pw@127.0.0.1:{port}"]
)
def test_no_error_contains_the_password(connect: Connect, url: str) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        connect(url.format(port=free_port())).call("PING")

    assert "s3cret" not in str(caught.value)


# Hanging


@pytest.mark.parametrize("ask", ASK[:2])  # a subscriber sends nothing: it only waits
def test_a_call_to_a_hanging_redis_times_out(
    server: RedisServer, connect: Connect, ask: Callable[[Connection], object]
) -> None:
    connection = connect(server.url)
    connection.call("PING")
    server.send(signal.SIGSTOP)

    elapsed = seconds_until_unavailable(lambda: ask(connection))

    server.send(signal.SIGCONT)
    assert elapsed < TIMEOUT + SLACK
    assert connection.call("PING")


def test_connecting_to_a_hanging_redis_times_out(server: RedisServer, connect: Connect) -> None:
    server.send(signal.SIGSTOP)

    elapsed = seconds_until_unavailable(lambda: connect(server.url).call("PING"))

    assert elapsed < TIMEOUT + SLACK


def test_threads_do_not_wait_for_each_other_while_redis_hangs(server: RedisServer, connect: Connect) -> None:
    connection = connect(server.url)
    server.send(signal.SIGSTOP)
    together = threading.Barrier(8)

    def ask() -> float:
        together.wait()
        return seconds_until_unavailable(lambda: connection.call("PING"))

    with ThreadPoolExecutor(8) as pool:
        elapsed = [future.result() for future in [pool.submit(ask) for _ in range(8)]]

    assert max(elapsed) < TIMEOUT + SLACK


def test_a_command_that_timed_out_is_not_sent_again(server: RedisServer, connect: Connect) -> None:
    connection = connect(server.url)
    connection.call("SET", "counter", 0)
    server.send(signal.SIGSTOP)
    seconds_until_unavailable(lambda: connection.call("INCR", "counter"))
    server.send(signal.SIGCONT)

    # Redis reads what arrived while it hung, connection by connection, before it accepts new connections.
    assert int(connection.call("GET", "counter")) <= 1


def test_an_accept_whose_answer_is_lost_can_be_repeated(server: RedisServer, connect: Connect) -> None:
    bench = Bench(connect(server.url))
    bench.accept_new(resolution("1", ticket=2))
    submission = bench.submission(resolution("1"))
    server.send(signal.SIGSTOP)
    seconds_until_unavailable(lambda: bench.submit([submission]))
    server.send(signal.SIGCONT)

    [verdict] = bench.submit([submission])

    assert (verdict.status, verdict.id) == ("queued", submission.id)
    assert len(bench.take_ids()) == 2


# Restarting


def test_stale_connections_are_replaced_within_the_same_call(server: RedisServer, connect: Connect) -> None:
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
def test_a_restart_between_two_calls_causes_no_error(
    server: RedisServer, connect: Connect, ask: Callable[[Connection], object]
) -> None:
    connection = connect(server.url)
    connection.call("PING")
    server.stop()
    server.start()

    ask(connection)


def test_accepted_updates_survive_a_kill_of_redis(server: RedisServer, connect: Connect) -> None:
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


# Lost scripts and loading


@pytest.mark.parametrize("flush", [("SCRIPT", "FLUSH"), ("SCRIPT", "FLUSH", "ASYNC")])
def test_scripts_are_loaded_again_after_redis_lost_them(bench: Bench, flush: tuple[str, ...]) -> None:
    [delivery] = bench.accept_tickets(1)
    bench.redis.call(*flush)
    assignment = bench.take_one()
    bench.redis.call(*flush)

    assert bench.settle(assignment, DELIVERED) == "delivered"

    bench.redis.call(*flush)
    assert bench.accept(resolution("1")).id == delivery
    assert bench.reclaim() == (0, 0)


def test_a_redis_that_loads_its_data_is_not_available(serve: Serve, connect: Connect) -> None:
    server = serve("--save", "", "--appendonly", "no")
    connection = connect(f"redis://{server.address}")
    connection.call("EVAL", "for i = 1, 500 do redis.call('SET', 'k' .. i, string.rep('x', 100)) end", 0)
    connection.call("SAVE")
    server.stop()
    server.start("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
    patient = Connection(f"redis://{server.address}", timeout=5)
    wait_until(lambda: "loading" in error_of(patient), "Valkey reports that it loads")

    wait_until(lambda: error_of(patient) == "", "Valkey has loaded")

    assert patient.call("GET", "k500")
    patient.close()
