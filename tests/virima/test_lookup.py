"""Lookups in both modes: their results, and the sessions that they open and end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from raw_server import answer
from virima.site import (
    BASE_PATH,
    CREDENTIALS,
    JANE,
    MAX,
    SERVICE,
    TIMEOUT,
    calls,
    logged_in,
    login_service,
    make_client,
    make_lookup,
    requests_of,
    url_of,
    virima_of,
)

from relay.clock import Clock
from relay.http.credentials import Credentials
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.virima.lookup import KnownUser, Lookup, LookupOutcome, LookupResult
from relay.virima.lookup_reasons import LookupReason

LOGIN, IMPERSONATE, LOGOUT, WHO = (
    f"{BASE_PATH}login/{name}" for name in ("dologin", "dologin-impersonate", "dologout", "get-logged-in-user")
)
JANE_USER = KnownUser(1002, JANE.email, "Jane Doe", JANE.email, "ACME")
SERVICE_BODY = b'{"id":1,"email":"relay@example.com"}'


def summary(result: LookupResult) -> tuple[LookupOutcome, LookupReason | None, int | None]:
    return result.outcome, result.reason, result.status


def test_a_resolver_is_found_by_impersonation(lookup: Lookup) -> None:
    result = lookup.look_up(JANE.email)

    assert (result.outcome, result.reason, result.status, result.user) == (LookupOutcome.FOUND, None, 200, JANE_USER)
    assert result.as_json() == {
        "outcome": "found",
        "reason": None,
        "status": 200,
        "duration_ms": result.duration_ms,
        "user": {
            "id": 1002,
            "userName": JANE.email,
            "displayName": "Jane Doe",
            "email": JANE.email,
            "organizationName": "ACME",
        },
    }


def test_mode_session_returns_the_service_account(server: SimulatorServer) -> None:
    lookup = make_lookup(url_of(server), "session")

    result = lookup.look_up(JANE.email)

    assert result.outcome is LookupOutcome.FOUND
    assert result.user is not None
    assert result.user.email == SERVICE.email
    assert calls(server) == {"dologin": 1, "get-logged-in-user": 1}
    lookup.close()


def test_the_duration_is_measured_with_the_given_clock(server: SimulatorServer) -> None:
    ticks = iter([100.0, 100.25])
    clock = Clock(monotonic=lambda: next(ticks))
    lookup = Lookup(make_client(url_of(server)), mode="impersonate", timeout=TIMEOUT, clock=clock)

    assert lookup.look_up(JANE.email).duration_ms == 250
    lookup.close()


def test_only_impersonated_sessions_are_logged_out(lookup: Lookup, server: SimulatorServer) -> None:
    results = [lookup.look_up(email).outcome for email in (JANE.email, MAX.email, "unknown@example.com", JANE.email)]

    assert results == [LookupOutcome.FOUND, LookupOutcome.MFA_PENDING, LookupOutcome.NOT_FOUND, LookupOutcome.FOUND]
    assert calls(server) == {"dologin": 1, "dologin-impersonate": 4, "dologout": 3}
    assert logged_in(server) == [SERVICE.email]


def test_closing_logs_the_service_account_out(lookup: Lookup, server: SimulatorServer) -> None:
    lookup.look_up(JANE.email)

    lookup.close()

    assert logged_in(server) == []


@pytest.mark.parametrize("mode", ["impersonate", "session"])
def test_an_ended_session_is_replaced(server: SimulatorServer, mode: str) -> None:
    lookup = make_lookup(url_of(server), "session" if mode == "session" else "impersonate")
    lookup.look_up(JANE.email)
    virima_of(server).revoke()

    result = lookup.look_up(JANE.email)

    assert result.outcome is LookupOutcome.FOUND
    assert calls(server)["dologin"] == 2
    assert logged_in(server) == [SERVICE.email]
    lookup.close()


@pytest.mark.parametrize(
    "fault",
    [
        SimulatedFault(status=401, path=IMPERSONATE, count=1),
        SimulatedFault(status=403, path=IMPERSONATE, count=1),
        SimulatedFault(status=302, headers={"Location": "/login.html"}, path=IMPERSONATE, count=1),
        SimulatedFault(status=200, body="<html>Please log in", content_type="text/html", path=IMPERSONATE, count=1),
    ],
    ids=["401", "403", "redirect to the login page", "the login page"],
)
def test_an_answer_that_can_mean_an_ended_session_opens_a_new_one(
    lookup: Lookup, server: SimulatorServer, fault: SimulatedFault
) -> None:
    lookup.look_up(JANE.email)
    server.faults.add(fault)

    assert lookup.look_up(JANE.email).user == JANE_USER
    assert calls(server)["dologin"] == 2


def test_a_refused_impersonation_is_repeated_once(lookup: Lookup, server: SimulatorServer) -> None:
    lookup.look_up(JANE.email)
    server.faults.add(SimulatedFault(status=403, path=IMPERSONATE))

    result = lookup.look_up(JANE.email)

    assert summary(result) == (LookupOutcome.FAILED, LookupReason.REFUSED, 403)
    assert calls(server)["dologin"] == 2
    assert server.request_log.count(IMPERSONATE) == 3


def test_refusals_do_not_accumulate_sessions(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=403, path=IMPERSONATE))

    for _ in range(6):
        lookup.look_up(JANE.email)

    assert len(logged_in(server)) <= 2
    lookup.close()
    assert logged_in(server) == []


def test_a_refusal_in_a_new_session_is_not_repeated(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=403, path=IMPERSONATE))

    lookup.look_up(JANE.email)

    assert (calls(server)["dologin"], server.request_log.count(IMPERSONATE)) == (1, 1)


@pytest.mark.parametrize("mode", ["impersonate", "session"])
def test_a_refused_service_account_has_its_own_reason(server: SimulatorServer, mode: str) -> None:
    credentials = Credentials(SERVICE.email, "wrong-pass-word")
    lookup = make_lookup(url_of(server), "session" if mode == "session" else "impersonate", credentials=credentials)

    assert summary(lookup.look_up(JANE.email)) == (LookupOutcome.FAILED, LookupReason.WRONG_CREDENTIALS, 401)
    assert calls(server) == {"dologin": 1}
    lookup.close()


def test_a_login_answer_with_no_id_means_wrong_credentials(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=200, body={"id": None, "message": "Invalid"}, path=LOGIN))

    assert summary(lookup.look_up(JANE.email)) == (LookupOutcome.FAILED, LookupReason.WRONG_CREDENTIALS, 200)


def test_a_url_without_a_login_service_has_its_own_reason(server: SimulatorServer) -> None:
    lookup = make_lookup(f"{server.url}/elsewhere")

    assert summary(lookup.look_up(JANE.email)) == (LookupOutcome.FAILED, LookupReason.WRONG_URL, 404)
    lookup.close()


def test_a_second_factor_of_the_service_account_is_not_a_success(server: SimulatorServer) -> None:
    virima_of(server).set_person(replace(SERVICE, mfa_pending=True))
    lookup = make_lookup(url_of(server), "session")

    assert summary(lookup.look_up(JANE.email)) == (LookupOutcome.MFA_PENDING, LookupReason.SERVICE_ACCOUNT_MFA, 200)
    assert logged_in(server) == []
    lookup.close()


@pytest.mark.parametrize("email", ["", "  "])
def test_without_an_email_no_request_is_sent(lookup: Lookup, server: SimulatorServer, email: str) -> None:
    assert summary(lookup.look_up(email)) == (LookupOutcome.NOT_FOUND, LookupReason.NO_EMAIL, None)
    assert server.request_log.arrived == 0


@pytest.mark.parametrize(
    "fault",
    [
        SimulatedFault(status=500, path=LOGOUT),
        SimulatedFault(drop="before", path=LOGOUT),
        SimulatedFault(delay=30, path=LOGOUT),
        SimulatedFault(status=200, body="<html>", path=LOGOUT),
        SimulatedFault(status=401, path=LOGOUT),
    ],
    ids=["500", "dropped", "hangs", "HTML", "401"],
)
def test_a_failed_logout_changes_no_result(lookup: Lookup, server: SimulatorServer, fault: SimulatedFault) -> None:
    server.faults.add(fault)

    assert lookup.look_up(JANE.email).user == JANE_USER
    server.faults.clear()
    assert lookup.look_up(JANE.email).user == JANE_USER
    assert calls(server)["dologin"] == 1


def test_a_different_user_is_a_failure_and_is_logged_out() -> None:
    other = answer(b'{"id":9,"email":"eve@example.com"}', "Set-Cookie: JSESSIONID=OTHER; Path=/www_em/")
    answers = {
        "dologin": answer(SERVICE_BODY, "Set-Cookie: JSESSIONID=SERVICE; Path=/www_em/"),
        "dologin-impersonate": other,
        "dologout": answer(b"{}"),
    }
    with login_service(answers) as raw:
        lookup = make_lookup(raw.url + BASE_PATH)
        result = lookup.look_up(JANE.email)

        assert summary(result) == (LookupOutcome.FAILED, LookupReason.ANOTHER_USER, 200)
        assert result.user is None
        assert ["Cookie: JSESSIONID=OTHER" in head for head in requests_of(raw, "dologout")] == [True]
        lookup.close()


@pytest.mark.parametrize(
    "cookie",
    [
        (),
        ("Set-Cookie: JSESSIONID=SERVICE; Path=/www_em/",),
        ("Set-Cookie: JSESSIONID=; Path=/www_em/; Max-Age=0",),
        ("Set-Cookie: JSESSIONID=X; Path=/elsewhere/",),
        ("Set-Cookie: JSESSIONID=X; Domain=example.org",),
        ("Set-Cookie: JSESSIONID=X; Expires=Thu, 01 Jan 1970 00:00:00 GMT",),
        ("Set-Cookie: =;;;=", "Set-Cookie: ", "Set-Cookie: ;"),
        ("Set-Cookie: JSESSIONID=X; Secure; Path=/www_em/",),
    ],
    ids=[
        "none",
        "the service account's",
        "deleted",
        "another path",
        "another domain",
        "expired",
        "nonsense",
        "secure over http",
    ],
)
def test_a_session_without_its_own_cookie_is_not_logged_out(cookie: tuple[str, ...]) -> None:
    answers = {
        "dologin": answer(SERVICE_BODY, "Set-Cookie: JSESSIONID=SERVICE; Path=/www_em/"),
        "dologin-impersonate": answer(b'{"id":9,"email":"jane@example.com"}', *cookie),
    }
    with login_service(answers) as raw:
        lookup = make_lookup(raw.url + BASE_PATH)

        assert [lookup.look_up(JANE.email).outcome for _ in range(2)] == [LookupOutcome.FOUND] * 2
        assert requests_of(raw, "dologout") == []
        assert len(requests_of(raw, "dologin")) == 1
        assert all("Cookie: JSESSIONID=SERVICE\r\n" in head for head in requests_of(raw, "dologin-impersonate"))
        lookup.close()


@pytest.mark.parametrize(
    "cookie",
    [
        "Set-Cookie: JSESSIONID=OWN",
        'Set-Cookie: JSESSIONID="OWN"; Version=1; Path=/www_em/',
        "set-cookie: JSESSIONID=OWN; SameSite=Lax; Partitioned; Path=/; Expires=never",
        "Set-Cookie: a=b; Path=/\r\nSet-Cookie: JSESSIONID=OWN; HttpOnly; Path=/",
    ],
)
def test_unusual_but_valid_cookies_are_used_to_log_out(cookie: str) -> None:
    answers = {
        "dologin": answer(SERVICE_BODY, "Set-Cookie: JSESSIONID=SERVICE; Path=/www_em/"),
        "dologin-impersonate": answer(b'{"id":9,"email":"jane@example.com"}', cookie),
        "dologout": answer(b"{}"),
    }
    with login_service(answers) as raw:
        lookup = make_lookup(raw.url + BASE_PATH)

        assert lookup.look_up(JANE.email).outcome is LookupOutcome.FOUND
        [head] = requests_of(raw, "dologout")
        assert "OWN" in head
        assert "SERVICE" not in head
        lookup.close()


def look_up_in_threads(lookup: Lookup) -> list[LookupResult]:
    """Look Jane up in eight threads at the same time."""
    start = threading.Barrier(8)

    def look_up(_: int) -> LookupResult:
        start.wait()
        return lookup.look_up(JANE.email)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(look_up, range(8)))


def test_threads_share_one_service_session(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(delay=0.1, path=LOGIN, exact=True))

    results = look_up_in_threads(lookup)

    assert [result.user for result in results] == [JANE_USER] * 8
    assert calls(server)["dologin"] == 1
    assert logged_in(server) == [SERVICE.email]


def test_threads_replace_an_ended_session_once(lookup: Lookup, server: SimulatorServer) -> None:
    lookup.look_up(JANE.email)
    virima_of(server).revoke()

    results = look_up_in_threads(lookup)

    assert [result.outcome for result in results] == [LookupOutcome.FOUND] * 8
    assert calls(server)["dologin"] == 2
    assert logged_in(server) == [SERVICE.email]


def test_threads_that_wait_for_a_login_share_its_failure(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(delay=30, path=LOGIN, exact=True))

    results = look_up_in_threads(lookup)

    assert [result.reason for result in results] == [LookupReason.UNREACHABLE] * 8
    assert server.request_log.arrived <= 2


def test_the_next_lookup_repeats_a_failed_login(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=503, path=LOGIN, exact=True, count=1))

    assert summary(lookup.look_up(JANE.email)) == (LookupOutcome.FAILED, LookupReason.SERVER_ERROR, 503)
    assert lookup.look_up(JANE.email).user == JANE_USER


def test_credentials_are_never_in_a_repr() -> None:
    assert SERVICE.password not in repr(CREDENTIALS)
