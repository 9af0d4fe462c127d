"""The secrets that Virima sends never appear in values, texts, logs or errors."""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from harness import mapping, write_mapping
from raw_server import answer
from virima.site import (
    BASE_PATH,
    CREDENTIALS,
    JANE,
    MAX,
    SERVICE,
    TIMEOUT,
    login_service,
    make_client,
    make_lookup,
    virima_of,
)

from relay.core.redact import Redactor
from relay.foundation import Foundation, virima_lookup
from relay.http.caller import Caller
from relay.logs import set_up_logs
from relay.mapping_files.folder import read_mapping
from relay.secrets import SecretReader
from relay.settings import load_settings
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.virima.login_schemas import SECRETS, UserDetailsSchema
from relay.virima.login_service import LoginSession, VirimaClient
from relay.virima.lookup import Lookup

BODY = {
    "id": 9,
    "email": "jane@example.com",
    "password": "s3cret-1",
    "sessionId": "s3cret-2",
    "twoFactorSecretKey": "s3cret-3",
    "nested": [{"SESSIONID": "s3cret-4", "Password": {"deep": "s3cret-5"}, "kept": 1}],
}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged, at every level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def secrets_of(server: SimulatorServer) -> set[str]:
    basic = CREDENTIALS.basic.removeprefix("Basic ")
    return {*virima_of(server).secrets_sent(), SERVICE.password, JANE.password, MAX.password, basic}


def test_the_values_of_all_operations_contain_no_secret(
    client: VirimaClient, server: SimulatorServer, logged: io.StringIO
) -> None:
    service, jane, pending = LoginSession(), LoginSession(), LoginSession()
    values: list[object] = [
        client,
        client.log_in_service(service, timeout=TIMEOUT),
        client.impersonate(JANE.email, jane, by=service, timeout=TIMEOUT),
        client.impersonate(MAX.email, pending, by=service, timeout=TIMEOUT),
        client.logged_in_user(jane, timeout=TIMEOUT),
        client.send_reset_mail(JANE.email, timeout=TIMEOUT),
        client.reset_password(JANE.email, JANE.password, timeout=TIMEOUT),
        client.set_up(SERVICE.email, SERVICE.password, timeout=TIMEOUT),
        *(service, jane, pending, service.cookies, jane.cookies),
        client.log_out(jane, timeout=TIMEOUT),
    ]

    texts = "".join([*map(repr, values), *map(str, values), logged.getvalue()])
    assert len(secrets_of(server)) > 6
    assert [secret for secret in secrets_of(server) if secret in texts] == []


@pytest.mark.parametrize(
    "fault",
    [
        None,
        SimulatedFault(drop="after"),
        SimulatedFault(drip=0.05),
        SimulatedFault(status=500),
        SimulatedFault(oversize=2 << 20),
        SimulatedFault(status=401),
    ],
)
def test_the_results_of_lookups_contain_no_secret(
    lookup: Lookup, server: SimulatorServer, logged: io.StringIO, fault: SimulatedFault | None
) -> None:
    lookup.look_up(JANE.email)
    if fault:
        server.faults.add(fault)
    results = [lookup.look_up(JANE.email), lookup.look_up(MAX.email), lookup.who_am_i()]

    records = [json.dumps(result.as_json()) for result in results]
    texts = "".join([repr(lookup), *map(repr, results), *records, logged.getvalue()])
    assert [secret for secret in secrets_of(server) if secret in texts] == []


def test_secrets_are_dropped_at_any_depth_while_an_answer_is_parsed() -> None:
    with login_service({"dologin": answer(json.dumps(BODY).encode())}) as raw:
        caller = Caller(raw.url + BASE_PATH, ca_file=None, connections=1, omit=SECRETS)
        reply = caller.exchange("POST", "/login/dologin", headers={}, body=b"{}", timeout=TIMEOUT)
        caller.close()

    assert reply.content == {"id": 9, "email": "jane@example.com", "nested": [{"kept": 1}]}
    assert repr(reply) == "Reply(status=200, retry_after=None, fault=None)"


def test_the_schema_declares_no_secret() -> None:
    loaded = UserDetailsSchema().load(BODY)

    assert "s3cret" not in repr(loaded)
    assert not {"password", "session_id", "two_factor_secret_key"} & set(type(loaded).__slots__)


def test_an_error_about_a_body_contains_no_secret() -> None:
    client = make_client("http://127.0.0.1:9/")

    try:
        client.log_in("a@example.com", "s3cret-1", LoginSession(), timeout=TIMEOUT, more={"oldSessionId": ["s3cret-2"]})
    except Exception as error:  # noqa: BLE001 - any error
        text = "".join(traceback.format_exception(error)) + repr(error)

    assert "oldSessionId: expected text" in text
    assert "s3cret-2" not in text.replace('more={"oldSessionId": ["s3cret-2"]}', "")
    client.close()


def test_an_invalid_head_is_not_quoted_in_a_log() -> None:
    broken = answer(b'{"id":9}', "Broken header", "Set-Cookie: JSESSIONID=s3cret-1; Path=/www_em/")
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    with redirect_stderr(io.StringIO()) as stderr, login_service({"dologin": broken}) as raw:
        set_up_logs(form="json", level="DEBUG", redactor=Redactor())
        lookup = make_lookup(raw.url + BASE_PATH)
        lookup.look_up(JANE.email)
        lookup.close()
    root.handlers, root.level = before, level

    assert "s3cret" not in stderr.getvalue()


def test_the_credentials_of_a_lookup_are_redacted(tmp_path: Path) -> None:
    block = {
        "url": "https://virima.example.com",
        "username": SERVICE.email,
        "password": {"env": "PW"},
        "lookup": "session",
    }
    path = write_mapping(tmp_path, "acme", mapping("https://iem.example.com", virima=block))
    integration = read_mapping(path).integration
    assert integration
    redactor = Redactor()
    foundation = Foundation(load_settings({}), SecretReader({"PW": SERVICE.password}, redactor), redactor)

    virima_lookup(integration, foundation)[0].close()

    assert redactor.redact(f"{SERVICE.password} {CREDENTIALS.basic}") == "[redacted] Basic [redacted]"
