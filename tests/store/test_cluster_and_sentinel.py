"""The queue on a cluster and behind sentinels, also while servers are unreachable or hang."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from harness import free_port, redis_binary, wait_until
from store.bench import DELIVERED, LEASE, NOT_NOW, SECOND, Bench, resolution, sys_id
from store.servers import SLACK, TIMEOUT, Connect, Serve, Server, error_of, seconds_until_unavailable

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.store.durability import read_durability
from relay.store.embedded import answers
from relay.store.heartbeats import Heartbeats
from relay.store.keys import WAKE_CHANNEL
from relay.store.token_store import StoredToken, TokenStore


def run_the_queue(connection: Connection) -> None:
    """Deliver two updates, and use every class that talks to Redis."""
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


# Cluster


def is_whole(connection: Connection) -> bool:
    """Return whether a cluster accepts commands."""
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
    """The URL of the empty cluster, with a second host that is unreachable."""
    url = f"redis+cluster://:p%40ss%2Fword@127.0.0.1:{free_port()},{cluster.address}"
    connection = Connection(url, timeout=5)
    connection.call("FLUSHALL")
    connection.close()
    return url


def test_the_queue_works_on_a_cluster(cluster_url: str, connect: Connect) -> None:
    run_the_queue(connect(cluster_url))


def test_a_cluster_can_be_unavailable_and_return(cluster: Server, cluster_url: str, connect: Connect) -> None:
    bench = Bench(connect(cluster_url))
    [delivery] = bench.accept_tickets(1)
    cluster.stop()

    elapsed = [seconds_until_unavailable(bench.take) for _ in range(3)]
    cluster.start()
    wait_until(lambda: is_whole(bench.redis), "the cluster is whole again")

    assert max(elapsed) < SLACK
    assert bench.take_ids() == [delivery]


def test_a_call_to_a_hanging_cluster_takes_at_most_two_timeouts(
    cluster: Server, cluster_url: str, connect: Connect
) -> None:
    known, new = connect(cluster_url), connect(cluster_url)
    known.call("GET", "x")
    cluster.send(signal.SIGSTOP)

    # redis-py asks once more for the slots of the nodes before it gives up.
    elapsed = [
        seconds_until_unavailable(lambda: known.call("GET", "x")),
        seconds_until_unavailable(lambda: new.call("GET", "x")),
    ]

    cluster.send(signal.SIGCONT)
    assert elapsed[0] < 2 * TIMEOUT + SLACK
    assert elapsed[1] < TIMEOUT + SLACK
    assert new.call("SET", "x", 1)


def test_a_cluster_without_all_its_slots_is_not_available(serve: Serve, connect: Connect) -> None:
    server = serve("--cluster-enabled", "yes", "--cluster-port", str(free_port()))

    assert seconds_until_unavailable(lambda: connect(f"redis+cluster://{server.address}").call("GET", "x")) < SLACK


# Sentinels


@dataclass(frozen=True, slots=True)
class Watched:
    """A Redis, and the sentinel that watches it."""

    master: Server
    sentinel: Server

    def url(self, *, others: int = 1) -> str:
        """Return the URL of database 1. The first `others` sentinels in it are unreachable."""
        unreachable = "".join(f"127.0.0.1:{free_port()}," for _ in range(others))
        return f"redis+sentinel://:p%40ss@{unreachable}{self.sentinel.address}/mymaster/1"


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


def test_the_queue_works_through_sentinels(watched: Watched, connect: Connect) -> None:
    run_the_queue(connect(watched.url()))

    in_database_1 = connect(f"redis://:p%40ss@{watched.master.address}/1")
    assert in_database_1.call("EXISTS", f"relay:{{acme}}:t:{sys_id(1)}") == 1


def test_a_call_to_hanging_sentinels_times_out(watched: Watched, connect: Connect) -> None:
    hanging = ",".join([watched.sentinel.address] * 3)
    watched.sentinel.send(signal.SIGSTOP)

    elapsed = seconds_until_unavailable(lambda: connect(f"redis+sentinel://:p%40ss@{hanging}/mymaster").call("PING"))

    watched.sentinel.send(signal.SIGCONT)
    assert elapsed < TIMEOUT + SLACK


def test_a_call_to_a_hanging_master_times_out(watched: Watched, connect: Connect) -> None:
    connection = connect(watched.url())
    connection.call("PING")
    watched.master.send(signal.SIGSTOP)

    elapsed = [seconds_until_unavailable(lambda: connection.call("PING")) for _ in range(2)]

    watched.master.send(signal.SIGCONT)
    assert max(elapsed) < TIMEOUT + SLACK
    wait_until(lambda: error_of(connection) == "", "the master answers again")
