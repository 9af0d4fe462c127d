"""The shared token: one fetch for all threads and processes, expiry, renewal, refusals. Real Redis, simulated IEM."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import RedisServer, iem_of, wait_until

from relay.clock import Clock as RelayClock
from relay.core.outcomes import IemAnswer, Park, Retry
from relay.core.reasons import Reason
from relay.errors import StoreUnavailableError
from relay.http.caller import Caller
from relay.http.credentials import Credentials
from relay.iem.calls import IemClient
from relay.iem.token_cache import TokenCache
from relay.iem.token_source import TokenUnavailable
from relay.simulators.faults import SimulatedFault
from relay.simulators.iem_access import ApiUser, Installation
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import TOKEN_PATH, SimulatedIem
from relay.store.connection import Connection
from relay.store.keys import key
from relay.store.token_store import TokenStore

USER = ApiUser("relay@example.com", "iem-secret", frozenset({"ACME"}))
START = 1_790_000_000.0
#: The life of a token with its expiry, and the assumed life of one without (seconds).
JWT_LIFETIME, ASSUMED_LIFETIME = 1800.0, 600.0
#: How long a test waits for an expected result (seconds).
PATIENCE = 10.0


class Clock:
    """A clock that only the test advances."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def simulated(clock: Clock, *, jwt: bool) -> SimulatorServer:
    known = Installation((USER,), {"ACME": True}, frozenset({"42"}), token_lifetime=JWT_LIFETIME, jwt=jwt)
    return SimulatorServer(SimulatedIem(known, clock=clock))


@pytest.fixture
def server(clock: Clock) -> Iterator[SimulatorServer]:
    """An IEM whose tokens are JWTs."""
    with simulated(clock, jwt=True) as server:
        yield server


@pytest.fixture
def opaque_server(clock: Clock) -> Iterator[SimulatorServer]:
    """An IEM whose tokens do not contain their expiry."""
    with simulated(clock, jwt=False) as server:
        yield server


MakeCache = Callable[..., TokenCache]


@pytest.fixture
def make_cache(redis_url: str, redis: Connection, clock: Clock) -> Iterator[MakeCache]:
    """Return a function that makes a cache as another process would, with its own connections to the same Redis."""
    opened: list[Caller | Connection] = []

    def make(
        server: SimulatorServer, *, config: str = "account-1", url: str = redis_url, user: ApiUser = USER
    ) -> TokenCache:
        caller = Caller(server.url, ca_file=None, connections=16)
        connection = Connection(url, timeout=2)
        opened.extend((caller, connection))
        client = IemClient(caller, Credentials(user.email, user.password))
        return TokenCache(
            TokenStore(connection, "acme"),
            client,
            config=config,
            lifetime=ASSUMED_LIFETIME,
            timeout=2,
            clock=RelayClock(now_ms=lambda: int(clock() * 1000)),
        )

    yield make
    for connection in opened:
        connection.close()


def get(cache: TokenCache, *, is_probe: bool = False, patience: float = PATIENCE) -> str | TokenUnavailable:
    return cache.get(deadline=time.monotonic() + patience, is_probe=is_probe)


def token_of(cache: TokenCache) -> str:
    """Return the token of a cache, which must have a token."""
    token = get(cache)
    assert isinstance(token, str)
    return token


def calls(server: SimulatorServer) -> int:
    """Return how many token calls IEM has answered."""
    return server.request_log.count(TOKEN_PATH)


def ask_from_threads(caches: list[TokenCache], threads: int = 16) -> list[str | TokenUnavailable]:
    """Ask each cache from `threads` threads at once."""
    together = threading.Barrier(threads * len(caches))

    def ask(cache: TokenCache) -> str | TokenUnavailable:
        together.wait()
        return get(cache)

    with ThreadPoolExecutor(threads * len(caches)) as pool:
        return list(pool.map(ask, caches * threads))


def hold_back(server: SimulatorServer) -> None:
    """Make IEM delay its next token until the faults are cleared."""
    server.faults.add(SimulatedFault(delay=60, count=1, path=TOKEN_PATH))


# A fetch for all processes


def test_all_threads_of_all_processes_share_one_fetch(server: SimulatorServer, make_cache: MakeCache) -> None:
    found = ask_from_threads([make_cache(server), make_cache(server)])

    assert calls(server) == 1
    assert {token for token in found if isinstance(token, str)} == {token_of(make_cache(server))}
    assert len(found) == 32


def test_all_processes_wait_for_a_slow_fetch(server: SimulatorServer, make_cache: MakeCache) -> None:
    hold_back(server)
    caches = [make_cache(server), make_cache(server)]

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(get, cache) for cache in caches * 2]
        assert server.request_log.wait_until(lambda: server.request_log.arrived == 1)
        server.faults.clear()
        found = [future.result(PATIENCE) for future in waiting]

    assert calls(server) == 1
    assert all(isinstance(token, str) for token in found)


REFUSAL = IemAnswer(401, "Invalid access token")


def test_waiting_threads_do_not_replace_a_refused_replacement(server: SimulatorServer, make_cache: MakeCache) -> None:
    cache, other = make_cache(server), make_cache(server)
    cache.refuse(token_of(cache), REFUSAL)
    cache.refuse(token_of(cache), REFUSAL)

    found = [get(cache), get(other)]

    assert [result.outcome for result in found if isinstance(result, TokenUnavailable)] == [
        Park(Reason.TOKEN_REFUSED)
    ] * 2
    assert calls(server) == 2
    assert isinstance(get(other, is_probe=True), str)


def test_a_confirmed_replacement_is_replaced_when_refused(server: SimulatorServer, make_cache: MakeCache) -> None:
    cache = make_cache(server)
    cache.refuse(token_of(cache), REFUSAL)
    replacement = token_of(cache)
    cache.confirm(replacement)

    cache.refuse(replacement, REFUSAL)

    assert token_of(cache) != replacement


def test_a_late_refusal_of_the_old_token_keeps_the_new_one(server: SimulatorServer, make_cache: MakeCache) -> None:
    cache, other = make_cache(server), make_cache(server)
    old = token_of(other)
    cache.refuse(old, REFUSAL)
    new = token_of(cache)

    other.refuse(old, REFUSAL)

    assert token_of(cache) == token_of(other) == new


def test_a_fetch_beyond_the_deadline_counts_as_unreachable(server: SimulatorServer, make_cache: MakeCache) -> None:
    hold_back(server)
    slow, other = make_cache(server), make_cache(server)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, slow)
        assert server.request_log.wait_until(lambda: server.request_log.arrived == 1)
        found = get(other, patience=0.1)
        server.faults.clear()
        waiting.result(PATIENCE)

    assert isinstance(found, TokenUnavailable)
    assert found.outcome == Retry(Reason.UNREACHABLE)
    assert calls(server) == 1


# Expiry


def test_a_jwt_is_used_until_it_expires(server: SimulatorServer, make_cache: MakeCache, clock: Clock) -> None:
    cache = make_cache(server)
    first = token_of(cache)
    clock.time += JWT_LIFETIME

    second = token_of(cache)

    assert first != second
    assert calls(server) == 2


def test_a_token_without_expiry_is_used_for_the_assumed_lifetime(
    opaque_server: SimulatorServer, make_cache: MakeCache, clock: Clock
) -> None:
    cache = make_cache(opaque_server)
    first = token_of(cache)
    clock.time += ASSUMED_LIFETIME * 0.9 - 1
    still = token_of(cache)
    clock.time += ASSUMED_LIFETIME * 0.1 + 1

    after = token_of(cache)

    assert first == still != after
    assert calls(opaque_server) == 2


def test_redis_deletes_a_token_when_it_expires(
    server: SimulatorServer, make_cache: MakeCache, redis: Connection
) -> None:
    get(make_cache(server))

    left = redis.call("PTTL", key("acme", "token"))

    assert 0 <= JWT_LIFETIME * 1000 - left < 60_000


# Early renewal


def test_a_token_is_renewed_early_while_pushes_use_the_old_one(
    server: SimulatorServer, make_cache: MakeCache, clock: Clock
) -> None:
    cache = make_cache(server)
    first = token_of(cache)
    clock.time += JWT_LIFETIME - 61
    before = token_of(cache)
    clock.time += 1

    meanwhile, after = token_of(cache), token_of(cache)

    assert first == before == meanwhile != after
    assert calls(server) == 2


def test_all_processes_together_renew_a_token_once(
    server: SimulatorServer, make_cache: MakeCache, clock: Clock
) -> None:
    caches = [make_cache(server), make_cache(server)]
    for cache in caches:
        token_of(cache)
    clock.time += JWT_LIFETIME - 30

    ask_from_threads(caches)

    # A process that saw another one renew uses the old token once more, and then finds the new one.
    token_of(caches[0]), token_of(caches[1])
    assert token_of(caches[0]) == token_of(caches[1])
    assert calls(server) == 2


@pytest.mark.parametrize(
    "fault", [SimulatedFault(status=500, path=TOKEN_PATH), SimulatedFault(drop="before", path=TOKEN_PATH)]
)
def test_a_failed_early_renewal_keeps_the_old_token_and_is_not_repeated(
    server: SimulatorServer, make_cache: MakeCache, clock: Clock, fault: SimulatedFault
) -> None:
    cache, other = make_cache(server), make_cache(server)
    first = token_of(cache)
    clock.time += JWT_LIFETIME - 30
    server.faults.add(fault)

    found = [token_of(cache) for _ in range(5)] + [token_of(other)]

    assert found == [first] * 6
    assert calls(server) == 2


# Dropping


def test_a_dropped_token_is_dropped_for_all_processes(server: SimulatorServer, make_cache: MakeCache) -> None:
    cache, other = make_cache(server), make_cache(server)
    refused = token_of(cache)

    cache.drop(refused)

    assert token_of(other) != refused
    assert token_of(cache) == token_of(other)
    assert calls(server) == 2


def test_dropping_an_old_token_keeps_its_replacement(server: SimulatorServer, make_cache: MakeCache) -> None:
    cache, late = make_cache(server), make_cache(server)
    refused = token_of(cache)
    token_of(late)
    cache.drop(refused)
    newer = token_of(cache)

    late.drop(refused)

    assert token_of(late) == newer
    assert calls(server) == 2


# Refusals


def test_wrong_credentials_are_tried_once_for_all_waiting_threads(
    server: SimulatorServer, make_cache: MakeCache
) -> None:
    wrong = ApiUser(USER.email, "not the password", USER.customers)

    found = ask_from_threads([make_cache(server, user=wrong), make_cache(server, user=wrong)])

    assert calls(server) == 1
    assert {result.outcome for result in found if isinstance(result, TokenUnavailable)} == {
        Park(Reason.WRONG_CREDENTIALS)
    }
    assert len(found) == 32


def test_wrong_credentials_are_not_tried_again_at_once(
    server: SimulatorServer, make_cache: MakeCache, clock: Clock
) -> None:
    wrong = ApiUser(USER.email, "not the password", USER.customers)
    cache = make_cache(server, user=wrong)
    get(cache)
    clock.time += 1

    just_after = get(cache)
    clock.time += 2
    get(cache)

    assert isinstance(just_after, TokenUnavailable)
    assert calls(server) == 2


def test_a_probe_always_asks_iem(server: SimulatorServer, make_cache: MakeCache, clock: Clock) -> None:
    wrong = ApiUser(USER.email, "not the password", USER.customers)
    cache = make_cache(server, user=wrong)
    get(cache)
    clock.time += 0.001
    server.service.reset()
    iem_of(server).set_user(wrong)

    assert isinstance(get(cache, is_probe=True), str)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (SimulatedFault(status=503, path=TOKEN_PATH), Reason.SERVER_ERROR),
        (SimulatedFault(drop="before", path=TOKEN_PATH), Reason.UNREACHABLE),
        (SimulatedFault(status=200, body="<html>", path=TOKEN_PATH), Reason.UNEXPECTED_ANSWER),
    ],
)
def test_all_waiting_threads_get_the_result_of_a_failed_fetch(
    server: SimulatorServer, make_cache: MakeCache, fault: SimulatedFault, reason: Reason
) -> None:
    server.faults.add(fault)

    found = ask_from_threads([make_cache(server), make_cache(server)])

    assert {result.outcome for result in found if isinstance(result, TokenUnavailable)} == {Retry(reason)}
    assert calls(server) == 1


def test_the_outcome_of_the_token_call_keeps_retry_after(server: SimulatorServer, make_cache: MakeCache) -> None:
    server.faults.add(SimulatedFault(status=429, headers={"Retry-After": "17"}, path=TOKEN_PATH))
    get(make_cache(server))

    found = get(make_cache(server))

    assert isinstance(found, TokenUnavailable)
    assert found.outcome == Retry(Reason.RATE_LIMITED, 17.0)


def test_a_token_that_a_cookie_cannot_contain_is_refused(
    server: SimulatorServer, make_cache: MakeCache, redis: Connection
) -> None:
    body = {"data": {"access_token": "a;b\r\nSet-Cookie: x"}}
    server.faults.add(SimulatedFault(status=200, body=body, path=TOKEN_PATH))

    found = get(make_cache(server))

    assert isinstance(found, TokenUnavailable)
    assert json.loads(redis.call("GET", key("acme", "token")))["value"] == ""


# Other credentials


def test_a_token_of_other_credentials_is_never_used(server: SimulatorServer, make_cache: MakeCache) -> None:
    old = token_of(make_cache(server, config="account-1"))

    new = token_of(make_cache(server, config="account-2"))

    assert new != old
    assert calls(server) == 2


def test_a_refusal_of_other_credentials_does_not_count(server: SimulatorServer, make_cache: MakeCache) -> None:
    wrong = ApiUser(USER.email, "not the password", USER.customers)
    get(make_cache(server, config="account-1", user=wrong))

    assert isinstance(get(make_cache(server, config="account-2")), str)


# Lost processes and connections


def test_the_lock_of_a_lost_process_expires(server: SimulatorServer, make_cache: MakeCache, redis: Connection) -> None:
    assert TokenStore(redis, "acme").lock(for_ms=200)
    began = time.monotonic()

    found = ask_from_threads([make_cache(server), make_cache(server)], threads=4)

    assert time.monotonic() - began >= 0.19
    assert all(isinstance(token, str) for token in found)
    assert calls(server) == 1


def test_only_the_owner_releases_the_lock(redis: Connection) -> None:
    store = TokenStore(redis, "acme")
    owner = store.lock(for_ms=10_000)
    store.unlock("another owner")
    still_locked = store.lock(for_ms=10_000)
    assert owner

    store.unlock(owner)

    assert still_locked is None
    assert store.lock(for_ms=10_000)


def test_a_failed_fetch_releases_the_lock(server: SimulatorServer, make_cache: MakeCache, redis: Connection) -> None:
    server.faults.add(SimulatedFault(status=500, path=TOKEN_PATH))

    get(make_cache(server))

    assert redis.call("EXISTS", key("acme", "token:lock")) == 0


def test_a_restart_of_redis_costs_at_most_one_fetch(
    server: SimulatorServer, make_cache: MakeCache, tmp_path: Path
) -> None:
    own = RedisServer(tmp_path, fsync="always").start()
    try:
        cache, other = make_cache(server, url=own.url), make_cache(server, url=own.url)
        first = token_of(cache)
        token_of(other)
        own.stop()
        while_away = token_of(cache)
        with pytest.raises(StoreUnavailableError):
            get(make_cache(server, url=own.url))
        own.start()

        after = [token_of(cache), token_of(other), token_of(make_cache(server, url=own.url))]
    finally:
        own.stop()

    assert [while_away, *after] == [first] * 4
    assert calls(server) == 1


def test_losing_redis_during_a_fetch_leaves_no_thread_waiting(
    server: SimulatorServer, make_cache: MakeCache, tmp_path: Path
) -> None:
    own = RedisServer(tmp_path).start()
    hold_back(server)
    cache = make_cache(server, url=own.url)
    try:
        with ThreadPoolExecutor(4) as pool:
            waiting: list[Future[str | TokenUnavailable]] = [pool.submit(get, cache) for _ in range(4)]
            assert server.request_log.wait_until(lambda: server.request_log.arrived == 1)
            own.stop()
            server.faults.clear()
            wait_until(lambda: all(future.done() for future in waiting), "every thread has its answer")
    finally:
        own.stop()

    assert all(isinstance(future.exception(), StoreUnavailableError) for future in waiting)
