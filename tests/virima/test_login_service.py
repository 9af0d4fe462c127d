"""The seven operations of the LoginService, against the simulated Virima."""

from __future__ import annotations

import pytest
from virima.site import JANE, MAX, SERVICE, TIMEOUT, logged_in, make_client, url_of, virima_of

from relay.errors import RequestBodyError
from relay.http.credentials import Credentials
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.virima.login_service import LoginSession, VirimaClient
from relay.virima.lookup_reasons import LookupReason
from relay.virima.results import Failed, Found, MfaPending, NoSession, NotFound, Refused, Response, TransactionMessage


def log_in(client: VirimaClient) -> LoginSession:
    session = LoginSession()
    assert isinstance(client.log_in_service(session, timeout=TIMEOUT), Found)
    return session


def test_a_login_returns_the_user_and_opens_a_session(client: VirimaClient, server: SimulatorServer) -> None:
    session = LoginSession()

    answer = client.log_in(SERVICE.email, SERVICE.password, session, timeout=TIMEOUT)

    assert isinstance(answer, Found)
    assert (answer.status, answer.user.email, answer.user.display_name) == (200, SERVICE.email, "Relay Account")
    assert repr(session) == "LoginSession(cookies=SessionCookies(1 cookies))"
    assert logged_in(server) == [SERVICE.email]


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_the_base_url_can_end_with_slashes(server: SimulatorServer, end: str) -> None:
    client = make_client(url_of(server).rstrip("/") + end)

    assert isinstance(client.log_in_service(LoginSession(), timeout=TIMEOUT), Found)
    client.close()


def test_a_login_can_have_further_members_of_a_credential(client: VirimaClient) -> None:
    more = {"enableMFA": False, "clientName": "relay", "client": {"proxy": False, "location": {"shortName": "x"}}}

    answer = client.log_in(SERVICE.email, SERVICE.password, LoginSession(), timeout=TIMEOUT, more=more)

    assert isinstance(answer, Found)


@pytest.mark.parametrize("credentials", [Credentials(SERVICE.email, "wrong"), Credentials(JANE.email, JANE.password)])
def test_wrong_credentials_are_refused(server: SimulatorServer, credentials: Credentials) -> None:
    client = make_client(url_of(server), credentials=credentials)

    assert client.log_in_service(LoginSession(), timeout=TIMEOUT) == Refused(401)
    client.close()


def test_an_impersonation_has_a_session_of_its_own(client: VirimaClient, server: SimulatorServer) -> None:
    service, session = log_in(client), LoginSession()

    answer = client.impersonate(JANE.email, session, by=service, timeout=TIMEOUT)

    assert isinstance(answer, Found)
    assert (answer.user.email, answer.user.organization_name) == (JANE.email, "ACME")
    assert logged_in(server) == [JANE.email, SERVICE.email]
    as_jane = client.logged_in_user(session, timeout=TIMEOUT)
    as_service = client.logged_in_user(service, timeout=TIMEOUT)
    assert isinstance(as_jane, Found)
    assert isinstance(as_service, Found)
    assert (as_jane.user.email, as_service.user.email) == (JANE.email, SERVICE.email)


def test_a_logout_ends_only_the_impersonated_session(client: VirimaClient, server: SimulatorServer) -> None:
    service, session = log_in(client), LoginSession()
    client.impersonate(JANE.email, session, by=service, timeout=TIMEOUT)

    answer = client.log_out(session, timeout=TIMEOUT)

    assert answer == TransactionMessage(1002, "1002", "Logged out", status=True)
    assert logged_in(server) == [SERVICE.email]


def test_without_a_cookie_no_logout_is_sent(client: VirimaClient, server: SimulatorServer) -> None:
    assert client.log_out(LoginSession(), timeout=TIMEOUT) == NoSession()
    assert server.request_log.arrived == 0


def test_an_unknown_user_is_not_found(client: VirimaClient) -> None:
    service = log_in(client)

    assert client.impersonate("unknown@example.com", LoginSession(), by=service, timeout=TIMEOUT) == NotFound(404)


def test_an_impersonation_without_a_session_is_refused(client: VirimaClient) -> None:
    assert client.impersonate(JANE.email, LoginSession(), by=LoginSession(), timeout=TIMEOUT) == Refused(401)


def test_a_pending_second_factor_does_not_count_as_found(client: VirimaClient) -> None:
    answer = client.impersonate(MAX.email, LoginSession(), by=log_in(client), timeout=TIMEOUT)

    assert isinstance(answer, MfaPending)
    assert answer.user.email == MAX.email


def test_a_user_other_than_the_requested_one_is_a_failure(client: VirimaClient, server: SimulatorServer) -> None:
    service = log_in(client)
    server.faults.add(
        SimulatedFault(status=200, body={"id": 7, "email": "eve@example.com"}, path="/www_em/login/dologin-imp")
    )

    answer = client.impersonate(JANE.email, LoginSession(), by=service, timeout=TIMEOUT)

    assert answer == Failed(200, LookupReason.ANOTHER_USER)


@pytest.mark.parametrize("email", ["JANE@Example.COM", " jane@example.com "])
def test_email_addresses_are_compared_without_case(client: VirimaClient, server: SimulatorServer, email: str) -> None:
    service = log_in(client)
    server.faults.add(
        SimulatedFault(status=200, body={"id": 7, "email": email}, path="/www_em/login/dologin-impersonate")
    )

    assert isinstance(client.impersonate(JANE.email, LoginSession(), by=service, timeout=TIMEOUT), Found)


def test_a_mail_to_reset_a_password_is_requested(client: VirimaClient, server: SimulatorServer) -> None:
    answer = client.send_reset_mail(JANE.email, timeout=TIMEOUT)

    assert answer == Response(1002, "Mail sent")
    assert virima_of(server).reset_mails == [JANE.email]
    assert client.send_reset_mail("unknown@example.com", timeout=TIMEOUT) == NotFound(404)


def test_a_password_is_reset(client: VirimaClient, server: SimulatorServer) -> None:
    answer = client.reset_password(
        JANE.email, "new-pass-word", timeout=TIMEOUT, instance="x", direct_password_change=True
    )

    assert answer == Response(1002, "Password changed")
    assert virima_of(server).people[JANE.email].password == "new-pass-word"


def test_a_new_installation_is_set_up(client: VirimaClient, server: SimulatorServer) -> None:
    answer = client.set_up(SERVICE.email, SERVICE.password, timeout=TIMEOUT, wizard_json='{"a":1}')

    assert isinstance(answer, Found)
    assert answer.user.email == SERVICE.email
    assert virima_of(server).wizards == [(SERVICE.email, '{"a":1}')]


def test_every_call_sends_the_credentials_and_accepts_json(client: VirimaClient, server: SimulatorServer) -> None:
    session = log_in(client)
    client.impersonate(JANE.email, LoginSession(), by=session, timeout=TIMEOUT)
    client.logged_in_user(session, timeout=TIMEOUT)
    client.send_reset_mail(JANE.email, timeout=TIMEOUT)
    client.reset_password(JANE.email, "x", timeout=TIMEOUT)
    client.set_up(SERVICE.email, SERVICE.password, timeout=TIMEOUT)
    client.log_out(session, timeout=TIMEOUT)

    exchanges = server.request_log.exchanges
    assert len(exchanges) == 7
    assert {exchange.status for exchange in exchanges} == {200}
    assert {exchange.headers["accept"] for exchange in exchanges} == {"application/json"}
    assert all(exchange.headers["authorization"].startswith("Basic") for exchange in exchanges)
    assert {exchange.headers.get("content-type") for exchange in exchanges if exchange.method == "GET"} == {None}


@pytest.mark.parametrize("more", [{"remember": True}, {"enableMFA": "no"}, {"client": {"location": {"street": "x"}}}])
def test_a_body_that_violates_the_specification_is_not_sent(
    client: VirimaClient, server: SimulatorServer, more: dict[str, object]
) -> None:
    with pytest.raises(RequestBodyError) as caught:
        client.log_in(SERVICE.email, SERVICE.password, LoginSession(), timeout=TIMEOUT, more=more)

    assert SERVICE.password not in str(caught.value)
    assert server.request_log.arrived == 0
