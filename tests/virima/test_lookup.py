"""Looking users up in both modes: whom it finds, and what becomes of the sessions."""

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
from relay.virima.lookup import KnownUser, Lookup, LookupResult, Outcome
from relay.virima.lookup_reasons import LookupReason

LOGIN, IMPERSONATE, LOGOUT, WHO = (
    f"{BASE_PATH}login/{name}" for name in ("dologin", "dologin-impersonate", "dologout", "get-logged-in-user")
)
JANE_USER = KnownUser(1002, JANE.email, "Jane Doe", JANE.email, "ACME")
BYSTANDER = b'{"id":1,"email":"relay@example.com"}'


def meaning(result: LookupResult) -> tuple[Outcome, LookupReason | None, int | None]:
    return result.outcome, result.reason, result.status


def test_a_resolver_is_found_by_impersonation(lookup: Lookup) -> None:
    result = lookup.look_up(JANE.email)

    assert (result.outcome, result.reason, result.status, result.user) == (Outcome.FOUND, None, 200, JANE_USER)
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


def test_mode_session_tells_the_service_account_whoever_resolved_it(server: SimulatorServer) -> None:
    lookup = make_lookup(url_of(server), "session")

    result = lookup.look_up(JANE.email)

    assert result.outcome is Outcome.FOUND
    assert result.user is not None
    assert result.user.email == SERVICE.email
    assert calls(server) == {"dologin": 1, "get-logged-in-user": 1}
    lookup.close()


def test_how_long_it_took_is_by_the_clock_that_was_handed_in(server: SimulatorServer) -> None:
    ticks = iter([100.0, 100.25])
    clock = Clock(monotonic=lambda: next(ticks))
    lookup = Lookup(make_client(url_of(server)), mode="impersonate", timeout=TIMEOUT, clock=clock)

    assert lookup.look_up(JANE.email).duration_ms == 250
    lookup.close()


def test_the_service_session_is_kept_and_impersonated_ones_are_logged_out(
    lookup: Lookup, server: SimulatorServer
) -> None:
    results = [lookup.look_up(email).outcome for email in (JANE.email, MAX.email, "nobody@example.com", JANE.email)]

    assert results == [Outcome.FOUND, Outcome.MFA_PENDING, Outcome.NOT_FOUND, Outcome.FOUND]
    assert calls(server) == {"dologin": 1, "dologin-impersonate": 4, "dologout": 3}
    assert logged_in(server) == [SERVICE.email]


def test_closing_logs_the_service_account_out(lookup: Lookup, server: SimulatorServer) -> None:
    lookup.look_up(JANE.email)

    lookup.close()

    assert logged_in(server) == []


@pytest.mark.parametrize("mode", ["impersonate", "session"])
def test_a_session_that_was_ended_is_made_anew(server: SimulatorServer, mode: str) -> None:
    lookup = make_lookup(url_of(server), "session" if mode == "session" else "impersonate")
    lookup.look_up(JANE.email)
    virima_of(server).revoke()

    result = lookup.look_up(JANE.email)

    assert result.outcome is Outcome.FOUND
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
def test_what_may_be_said_of_an_ended_session_makes_a_new_one(
    lookup: Lookup, server: SimulatorServer, fault: SimulatedFault
) -> None:
    lookup.look_up(JANE.email)
    server.faults.add(fault)

    assert lookup.look_up(JANE.email).user == JANE_USER
    assert calls(server)["dologin"] == 2


def test_a_refused_impersonation_is_tried_once_more_and_told_as_refused(
    lookup: Lookup, server: SimulatorServer
) -> None:
    lookup.look_up(JANE.email)
    server.faults.add(SimulatedFault(status=403, path=IMPERSONATE))

    result = lookup.look_up(JANE.email)

    assert meaning(result) == (Outcome.FAILED, LookupReason.REFUSED, 403)
    assert calls(server)["dologin"] == 2
    assert server.request_log.count(IMPERSONATE) == 3


def test_refusals_leave_no_row_of_sessions_behind(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=403, path=IMPERSONATE))

    for _ in range(6):
        lookup.look_up(JANE.email)

    assert len(logged_in(server)) <= 2
    lookup.close()
    assert logged_in(server) == []


def test_a_refusal_in_a_session_that_is_new_is_not_for_its_age(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=403, path=IMPERSONATE))

    lookup.look_up(JANE.email)

    assert (calls(server)["dologin"], server.request_log.count(IMPERSONATE)) == (1, 1)


@pytest.mark.parametrize("mode", ["impersonate", "session"])
def test_a_refused_service_account_is_told_apart(server: SimulatorServer, mode: str) -> None:
    credentials = Credentials(SERVICE.email, "wrong-pass-word")
    lookup = make_lookup(url_of(server), "session" if mode == "session" else "impersonate", credentials=credentials)

    assert meaning(lookup.look_up(JANE.email)) == (Outcome.FAILED, LookupReason.WRONG_CREDENTIALS, 401)
    assert calls(server) == {"dologin": 1}
    lookup.close()


def test_a_login_without_an_id_is_wrong_credentials_too(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=200, body={"id": None, "message": "Invalid"}, path=LOGIN))

    assert meaning(lookup.look_up(JANE.email)) == (Outcome.FAILED, LookupReason.WRONG_CREDENTIALS, 200)


def test_a_url_without_a_login_service_is_told_apart(server: SimulatorServer) -> None:
    lookup = make_lookup(f"{server.url}/elsewhere")

    assert meaning(lookup.look_up(JANE.email)) == (Outcome.FAILED, LookupReason.WRONG_URL, 404)
    lookup.close()


def test_a_service_account_with_a_second_factor_is_no_success(server: SimulatorServer) -> None:
    virima_of(server).set_person(replace(SERVICE, mfa_pending=True))
    lookup = make_lookup(url_of(server), "session")

    assert meaning(lookup.look_up(JANE.email)) == (Outcome.MFA_PENDING, LookupReason.SERVICE_ACCOUNT_MFA, 200)
    assert logged_in(server) == []
    lookup.close()


@pytest.mark.parametrize("email", ["", "  "])
def test_without_an_email_nobody_is_asked_for(lookup: Lookup, server: SimulatorServer, email: str) -> None:
    assert meaning(lookup.look_up(email)) == (Outcome.NOT_FOUND, LookupReason.NO_EMAIL, None)
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
def test_a_failing_logout_changes_no_result(lookup: Lookup, server: SimulatorServer, fault: SimulatedFault) -> None:
    server.faults.add(fault)

    assert lookup.look_up(JANE.email).user == JANE_USER
    server.faults.clear()
    assert lookup.look_up(JANE.email).user == JANE_USER
    assert calls(server)["dologin"] == 1


def test_another_user_is_a_failure_and_is_logged_out() -> None:
    other = answer(b'{"id":9,"email":"eve@example.com"}', "Set-Cookie: JSESSIONID=OTHER; Path=/www_em/")
    answers = {
        "dologin": answer(BYSTANDER, "Set-Cookie: JSESSIONID=SERVICE; Path=/www_em/"),
        "dologin-impersonate": other,
        "dologout": answer(b"{}"),
    }
    with login_service(answers) as raw:
        lookup = make_lookup(raw.url + BASE_PATH)
        result = lookup.look_up(JANE.email)

        assert meaning(result) == (Outcome.FAILED, LookupReason.ANOTHER_USER, 200)
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
def test_a_session_without_a_cookie_of_its_own_is_not_logged_out(cookie: tuple[str, ...]) -> None:
    answers = {
        "dologin": answer(BYSTANDER, "Set-Cookie: JSESSIONID=SERVICE; Path=/www_em/"),
        "dologin-impersonate": answer(b'{"id":9,"email":"jane@example.com"}', *cookie),
    }
    with login_service(answers) as raw:
        lookup = make_lookup(raw.url + BASE_PATH)

        assert [lookup.look_up(JANE.email).outcome for _ in range(2)] == [Outcome.FOUND] * 2
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
def test_odd_cookies_that_are_cookies_are_logged_out_by(cookie: str) -> None:
    answers = {
        "dologin": answer(BYSTANDER, "Set-Cookie: JSESSIONID=SERVICE; Path=/www_em/"),
        "dologin-impersonate": answer(b'{"id":9,"email":"jane@example.com"}', cookie),
        "dologout": answer(b"{}"),
    }
    with login_service(answers) as raw:
        lookup = make_lookup(raw.url + BASE_PATH)

        assert lookup.look_up(JANE.email).outcome is Outcome.FOUND
        [head] = requests_of(raw, "dologout")
        assert "OWN" in head
        assert "SERVICE" not in head
        lookup.close()


def test_threads_share_one_service_session(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(delay=0.1, path=LOGIN, exact=True))
    start = threading.Barrier(8)

    def look_up(_: int) -> KnownUser | None:
        start.wait()
        return lookup.look_up(JANE.email).user

    with ThreadPoolExecutor(8) as pool:
        users = list(pool.map(look_up, range(8)))

    assert users == [JANE_USER] * 8
    assert calls(server)["dologin"] == 1
    assert logged_in(server) == [SERVICE.email]


def test_threads_make_one_new_session_for_one_that_was_ended(lookup: Lookup, server: SimulatorServer) -> None:
    lookup.look_up(JANE.email)
    virima_of(server).revoke()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: lookup.look_up(JANE.email).outcome, range(8)))

    assert results == [Outcome.FOUND] * 8
    assert calls(server)["dologin"] == 2
    assert logged_in(server) == [SERVICE.email]


def test_threads_that_wait_for_a_login_share_its_failure(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(delay=30, path=LOGIN, exact=True))
    start = threading.Barrier(8)

    def look_up(_: int) -> LookupReason | None:
        start.wait()
        return lookup.look_up(JANE.email).reason

    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(look_up, range(8)))

    assert reasons == [LookupReason.UNREACHABLE] * 8
    assert server.request_log.arrived <= 2


def test_a_failed_login_is_tried_again_by_the_next_lookup(lookup: Lookup, server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=503, path=LOGIN, exact=True, count=1))

    assert meaning(lookup.look_up(JANE.email)) == (Outcome.FAILED, LookupReason.SERVER_ERROR, 503)
    assert lookup.look_up(JANE.email).user == JANE_USER


def test_credentials_are_never_in_a_repr() -> None:
    assert SERVICE.password not in repr(CREDENTIALS)
