"""Whatever Virima or a proxy answers, a lookup ends in time, with a reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from raw_server import RawServer, answer
from virima.site import BASE_PATH, JANE, TIMEOUT, logged_in, login_service, make_lookup

from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.virima.lookup import Lookup, LookupOutcome, LookupResult
from relay.virima.lookup_reasons import LookupReason

IMPERSONATE = "/www_em/login/dologin-impersonate"
JANE_BODY = b'{"id":9,"email":"jane@example.com","userName":"jane"}'


def looked_up(answers: dict[str, bytes | Callable[[], bytes]]) -> LookupResult:
    login = answer(b'{"id":1}', "Set-Cookie: JSESSIONID=SERVICE; Path=/www_em/")
    with login_service({"dologin": login, "dologout": answer(b"{}"), **answers}) as raw:
        lookup = make_lookup(raw.url + BASE_PATH)
        result = lookup.look_up(JANE.email)
        lookup.close()
        return result


@pytest.mark.parametrize(
    ("sent", "reason", "status"),
    [
        (answer(b"<html>Service unavailable</html>", "Content-Type: text/html"), LookupReason.UNEXPECTED_ANSWER, 200),
        (answer(b"", status="204 No Content"), LookupReason.UNEXPECTED_ANSWER, 204),
        (answer(b""), LookupReason.UNEXPECTED_ANSWER, 200),
        (answer(b'{"id":9,"email":"ja'), LookupReason.UNEXPECTED_ANSWER, 200),
        (answer(b'{"id":9,"email":"ja', length=500), LookupReason.INCOMPLETE_ANSWER, 200),
        (answer(b"[1]"), LookupReason.UNEXPECTED_ANSWER, 200),
        (answer(b"[" * 100_000), LookupReason.UNEXPECTED_ANSWER, 200),
        (answer(b'{"id":' + b"9" * 5000 + b"}"), LookupReason.UNEXPECTED_ANSWER, 200),
        (answer(b"\xff\xfe\x00"), LookupReason.UNEXPECTED_ANSWER, 200),
        (answer(JANE_BODY, "Content-Encoding: gzip"), LookupReason.INCOMPLETE_ANSWER, 200),
        (answer(b"{}", status="500 Oops"), LookupReason.SERVER_ERROR, 500),
        (answer(b"{}", status="418 Teapot"), LookupReason.UNEXPECTED_ANSWER, 418),
        (answer(JANE_BODY, "Location: http://127.0.0.1:9/", status="302 Found"), LookupReason.REDIRECTED, 302),
        (b"", LookupReason.UNREACHABLE, None),
        (b"SSH-2.0-OpenSSH_9.9\r\n", LookupReason.UNREACHABLE, None),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", LookupReason.UNREACHABLE, None),
    ],
)
def test_an_unusable_answer_is_a_failure_with_its_reason(sent: bytes, reason: LookupReason, status: int | None) -> None:
    result = looked_up({"dologin-impersonate": sent})

    assert (result.outcome, result.reason, result.status, result.user) == (LookupOutcome.FAILED, reason, status, None)


@pytest.mark.parametrize(
    "sent",
    [
        answer(JANE_BODY, "Content-Type: text/plain"),
        answer(JANE_BODY),
        answer(b"\xef\xbb\xbf" + JANE_BODY),
        answer(b'{"id":"9","email":"JANE@example.com","userName":null,"displayName":5,"isAdmin":null,"x":[{}]}'),
        answer(JANE_BODY, status="201 Created"),
    ],
    ids=["text/plain", "no content type", "byte order mark", "odd types", "201"],
)
def test_an_unusual_answer_with_the_user_is_accepted(sent: bytes) -> None:
    result = looked_up({"dologin-impersonate": sent})

    assert result.outcome is LookupOutcome.FOUND
    assert result.user is not None
    assert result.user.id == 9


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (SimulatedFault(delay=30, path=IMPERSONATE), LookupReason.UNREACHABLE),
        (SimulatedFault(drip=0.05, path=IMPERSONATE), LookupReason.INCOMPLETE_ANSWER),
        (SimulatedFault(drip=0.05, drip_head=True, path=IMPERSONATE), LookupReason.UNREACHABLE),
        (SimulatedFault(oversize=50 << 20, path=IMPERSONATE), LookupReason.INCOMPLETE_ANSWER),
        (SimulatedFault(drop="after", path=IMPERSONATE), LookupReason.UNREACHABLE),
    ],
    ids=["no answer", "dripping body", "dripping head", "50 MB", "dropped"],
)
def test_a_lookup_ends_in_time(
    lookup: Lookup, server: SimulatorServer, fault: SimulatedFault, reason: LookupReason
) -> None:
    server.faults.add(fault)

    began = time.monotonic()
    result = lookup.look_up(JANE.email)

    assert (result.outcome, result.reason) == (LookupOutcome.FAILED, reason)
    assert time.monotonic() - began < 4 * TIMEOUT


@pytest.mark.parametrize(
    "fault", [SimulatedFault(drip=0.05, path=IMPERSONATE), SimulatedFault(oversize=50 << 20, path=IMPERSONATE)]
)
def test_a_session_from_an_incomplete_answer_is_logged_out(
    lookup: Lookup, server: SimulatorServer, fault: SimulatedFault
) -> None:
    server.faults.add(fault)

    lookup.look_up(JANE.email)

    assert JANE.email not in logged_in(server)


def test_a_redirect_is_not_followed_with_the_credentials() -> None:
    with RawServer() as elsewhere:
        moved = answer(b"", f"Location: {elsewhere.url}{BASE_PATH}login/dologin", status="307 Temporary Redirect")

        result = looked_up({"dologin": moved})

        assert (result.outcome, result.reason, result.status) == (LookupOutcome.FAILED, LookupReason.REDIRECTED, 307)
        assert elsewhere.heads == []


def test_a_server_that_does_not_run_is_unreachable() -> None:
    with RawServer() as stopped:
        url = stopped.url + BASE_PATH
    lookup = make_lookup(url)

    result = lookup.look_up(JANE.email)

    assert (result.outcome, result.reason, result.status) == (LookupOutcome.FAILED, LookupReason.UNREACHABLE, None)
    assert result.detail
    lookup.close()


def test_a_server_that_never_answers_is_unreachable() -> None:
    never = threading.Event()

    def stay_silent() -> bytes:
        never.wait(3 * TIMEOUT)
        return b""

    result = looked_up({"dologin": stay_silent})

    assert (result.outcome, result.reason) == (LookupOutcome.FAILED, LookupReason.UNREACHABLE)
    assert result.duration_ms < 3000 * TIMEOUT
