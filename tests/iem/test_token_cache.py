"""The shared token: one fetch for all threads and processes, its end, its renewal, its refusals. Real Redis, simulated IEM."""

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
#: Seconds: of a token that tells its end, and of one that does not.
JWT_LIFETIME, ASSUMED_LIFETIME = 1800.0, 600.0
#: How long a test waits for what is to come (seconds).
PATIENCE = 10.0


class Clock:
    """A clock that moves only when a test moves it."""

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
    """An IEM whose tokens do not tell their end."""
    with simulated(clock, jwt=False) as server:
        yield server


MakeCache = Callable[..., TokenCache]


@pytest.fixture
def make_cache(redis_url: str, redis: Connection, clock: Clock) -> Iterator[MakeCache]:
    """Return what makes the cache of a process of its own: its own connections, over the one Redis."""
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
    for one in opened:
        one.close()


def get(cache: TokenCache, *, is_probe: bool = False, patience: float = PATIENCE) -> str | TokenUnavailable:
    return cache.get(deadline=time.monotonic() + patience, is_probe=is_probe)


def token_of(cache: TokenCache) -> str:
    """Return the token that a cache gives; there must be one."""
    token = get(cache)
    assert isinstance(token, str)
    return token


def calls(server: SimulatorServer) -> int:
    """Return how many token calls IEM has answered."""
    return server.request_log.count(TOKEN_PATH)


def ask_from_threads(caches: list[TokenCache], threads: int = 16) -> list[str | TokenUnavailable]:
    """Let `threads` threads of each cache ask at once."""
    together = threading.Barrier(threads * len(caches))

    def ask(cache: TokenCache) -> str | TokenUnavailable:
        together.wait()
        return get(cache)

    with ThreadPoolExecutor(threads * len(caches)) as pool:
        return list(pool.map(ask, caches * threads))


def hold_back(server: SimulatorServer) -> None:
    """Let IEM keep its next token to itself until the faults are cleared."""
    server.faults.add(SimulatedFault(delay=60, count=1, path=TOKEN_PATH))


# One fetch for all


def test_all_threads_of_all_processes_share_one_fetch(server: SimulatorServer, make_cache: MakeCache) -> None:
    found = ask_from_threads([make_cache(server), make_cache(server)])

    assert calls(server) == 1
    assert {token for token in found if isinstance(token, str)} == {token_of(make_cache(server))}
    assert len(found) == 32


def test_a_slow_fetch_is_waited_for_by_all(server: SimulatorServer, make_cache: MakeCache) -> None:
    hold_back(server)
    caches = [make_cache(server), make_cache(server)]

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(get, cache) for cache in caches * 2]
        assert server.request_log.wait_until(lambda: server.request_log.arrived == 1)
        server.faults.clear()
        found = [one.result(PATIENCE) for one in waiting]

    assert calls(server) == 1
    assert all(isinstance(token, str) for token in found)


REFUSAL = IemAnswer(401, "Invalid access token")


def test_a_replacement_that_is_refused_is_not_replaced_by_those_who_wait(
    server: SimulatorServer, make_cache: MakeCache
) -> None:
    cache, other = make_cache(server), make_cache(server)
    cache.refuse(token_of(cache), REFUSAL)
    cache.refuse(token_of(cache), REFUSAL)

    found = [get(cache), get(other)]

    assert [one.outcome for one in found if isinstance(one, TokenUnavailable)] == [Park(Reason.TOKEN_REFUSED)] * 2
    assert calls(server) == 2
    assert isinstance(get(other, is_probe=True), str)


def test_a_replacement_that_was_of_use_is_replaced_when_it_is_refused(
    server: SimulatorServer, make_cache: MakeCache
) -> None:
    cache = make_cache(server)
    cache.refuse(token_of(cache), REFUSAL)
    replacement = token_of(cache)
    cache.confirm(replacement)

    cache.refuse(replacement, REFUSAL)

    assert token_of(cache) != replacement


def test_a_token_that_was_replaced_meanwhile_stays_when_the_old_one_is_refused(
    server: SimulatorServer, make_cache: MakeCache
) -> None:
    cache, other = make_cache(server), make_cache(server)
    old = token_of(other)
    cache.refuse(old, REFUSAL)
    new = token_of(cache)

    other.refuse(old, REFUSAL)

    assert token_of(cache) == token_of(other) == new


def test_a_fetch_that_takes_longer_than_the_deadline_is_an_unreachable_iem(
    server: SimulatorServer, make_cache: MakeCache
) -> None:
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


# Its end


def test_a_jwt_is_used_until_its_own_end(server: SimulatorServer, make_cache: MakeCache, clock: Clock) -> None:
    cache = make_cache(server)
    first = token_of(cache)
    clock.time += JWT_LIFETIME

    second = token_of(cache)

    assert first != second
    assert calls(server) == 2


def test_a_token_that_does_not_tell_its_end_is_used_for_the_assumed_time(
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


def test_redis_forgets_a_token_when_it_ends(server: SimulatorServer, make_cache: MakeCache, redis: Connection) -> None:
    get(make_cache(server))

    left = redis.call("PTTL", key("acme", "token"))

    assert 0 <= JWT_LIFETIME * 1000 - left < 60_000


# Its early renewal


def test_a_token_is_renewed_a_minute_before_its_end_and_pushes_go_on_with_the_old_one(
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


def test_the_early_renewal_is_made_once_by_all_processes(
    server: SimulatorServer, make_cache: MakeCache, clock: Clock
) -> None:
    caches = [make_cache(server), make_cache(server)]
    for cache in caches:
        token_of(cache)
    clock.time += JWT_LIFETIME - 30

    ask_from_threads(caches)

    # A process that saw the other one at it goes on with the old token once, and finds the new one then.
    token_of(caches[0]), token_of(caches[1])
    assert token_of(caches[0]) == token_of(caches[1])
    assert calls(server) == 2


@pytest.mark.parametrize(
    "fault", [SimulatedFault(status=500, path=TOKEN_PATH), SimulatedFault(drop="before", path=TOKEN_PATH)]
)
def test_an_early_renewal_that_fails_leaves_the_old_token_and_is_not_tried_again(
    server: SimulatorServer, make_cache: MakeCache, clock: Clock, fault: SimulatedFault
) -> None:
    cache, other = make_cache(server), make_cache(server)
    first = token_of(cache)
    clock.time += JWT_LIFETIME - 30
    server.faults.add(fault)

    found = [token_of(cache) for _ in range(5)] + [token_of(other)]

    assert found == [first] * 6
    assert calls(server) == 2


# Dropping it


def test_a_dropped_token_is_forgotten_by_all_processes_that_ask_redis(
    server: SimulatorServer, make_cache: MakeCache
) -> None:
    cache, other = make_cache(server), make_cache(server)
    refused = token_of(cache)

    cache.drop(refused)

    assert token_of(other) != refused
    assert token_of(cache) == token_of(other)
    assert calls(server) == 2


def test_a_token_that_was_replaced_already_is_not_dropped(server: SimulatorServer, make_cache: MakeCache) -> None:
    cache, late = make_cache(server), make_cache(server)
    refused = token_of(cache)
    token_of(late)
    cache.drop(refused)
    newer = token_of(cache)

    late.drop(refused)

    assert token_of(late) == newer
    assert calls(server) == 2


# Refusals


def test_wrong_credentials_are_tried_once_for_all_who_wait(server: SimulatorServer, make_cache: MakeCache) -> None:
    wrong = ApiUser(USER.email, "not the password", USER.customers)

    found = ask_from_threads([make_cache(server, user=wrong), make_cache(server, user=wrong)])

    assert calls(server) == 1
    assert {one.outcome for one in found if isinstance(one, TokenUnavailable)} == {Park(Reason.WRONG_CREDENTIALS)}
    assert len(found) == 32


def test_wrong_credentials_hold_for_those_who_come_just_after(
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


def test_a_probe_asks_iem_itself(server: SimulatorServer, make_cache: MakeCache, clock: Clock) -> None:
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
def test_a_failed_fetch_is_the_answer_for_all_who_waited_for_it(
    server: SimulatorServer, make_cache: MakeCache, fault: SimulatedFault, reason: Reason
) -> None:
    server.faults.add(fault)

    found = ask_from_threads([make_cache(server), make_cache(server)])

    assert {one.outcome for one in found if isinstance(one, TokenUnavailable)} == {Retry(reason)}
    assert calls(server) == 1


def test_retry_after_of_the_token_call_is_kept(server: SimulatorServer, make_cache: MakeCache) -> None:
    server.faults.add(SimulatedFault(status=429, headers={"Retry-After": "17"}, path=TOKEN_PATH))
    get(make_cache(server))

    found = get(make_cache(server))

    assert isinstance(found, TokenUnavailable)
    assert found.outcome == Retry(Reason.RATE_LIMITED, 17.0)


def test_a_token_that_cannot_stand_in_a_cookie_is_none(
    server: SimulatorServer, make_cache: MakeCache, redis: Connection
) -> None:
    body = {"data": {"access_token": "a;b\r\nSet-Cookie: x"}}
    server.faults.add(SimulatedFault(status=200, body=body, path=TOKEN_PATH))

    found = get(make_cache(server))

    assert isinstance(found, TokenUnavailable)
    assert json.loads(redis.call("GET", key("acme", "token")))["value"] == ""


# Another account


def test_a_token_of_other_credentials_is_never_used(server: SimulatorServer, make_cache: MakeCache) -> None:
    old = token_of(make_cache(server, config="account-1"))

    new = token_of(make_cache(server, config="account-2"))

    assert new != old
    assert calls(server) == 2


def test_a_refusal_of_other_credentials_does_not_count(server: SimulatorServer, make_cache: MakeCache) -> None:
    wrong = ApiUser(USER.email, "not the password", USER.customers)
    get(make_cache(server, config="account-1", user=wrong))

    assert isinstance(get(make_cache(server, config="account-2")), str)


# What dies on the way


def test_others_go_on_when_the_lock_of_a_lost_process_runs_out(
    server: SimulatorServer, make_cache: MakeCache, redis: Connection
) -> None:
    assert TokenStore(redis, "acme").lock(for_ms=200)
    began = time.monotonic()

    found = ask_from_threads([make_cache(server), make_cache(server)], threads=4)

    assert time.monotonic() - began >= 0.19
    assert all(isinstance(token, str) for token in found)
    assert calls(server) == 1


def test_a_lock_is_given_back_by_its_owner_only(redis: Connection) -> None:
    store = TokenStore(redis, "acme")
    owner = store.lock(for_ms=10_000)
    store.unlock("somebody else")
    still_locked = store.lock(for_ms=10_000)
    assert owner

    store.unlock(owner)

    assert still_locked is None
    assert store.lock(for_ms=10_000)


def test_the_lock_is_free_after_a_fetch_that_failed(
    server: SimulatorServer, make_cache: MakeCache, redis: Connection
) -> None:
    server.faults.add(SimulatedFault(status=500, path=TOKEN_PATH))

    get(make_cache(server))

    assert redis.call("EXISTS", key("acme", "token:lock")) == 0


def test_a_redis_that_restarts_costs_one_fetch_at_most(
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


def test_a_fetch_during_which_redis_goes_away_leaves_no_thread_waiting(
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
            wait_until(lambda: all(one.done() for one in waiting), "every thread has its answer")
    finally:
        own.stop()

    assert all(isinstance(one.exception(), StoreUnavailableError) for one in waiting)
