"""Hostile headers, queries and bodies get a documented answer with a valid request id, and no access."""

from __future__ import annotations

import base64
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from harness import WEBHOOK_PASSWORD, mapping, sys_id, write_mapping
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.redact import Redactor
from relay.foundation import Foundation
from relay.secrets import SecretReader
from relay.settings import load_settings
from relay.store.connection import Connection
from relay.web.app import create_app

TOKEN = "operator-token-1"
GOOD = "Basic " + base64.b64encode(f"sn:{WEBHOOK_PASSWORD}".encode()).decode()
HOSTILE = settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
#: As WSGI passes a header: bytes decoded as Latin-1, without line ends.
TEXTS = st.one_of(
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=30),
    st.sampled_from(
        ["", " ", ";", "=", ",", "\xa0", "\x00", "\x7f", "\x1b[2J", "é", "0", "-1", "9" * 400, "%00",
         "${jndi:ldap://x}", "' OR 1=1 --",
         "../../etc/passwd", "\u202e".encode().decode("latin-1"), "\xed\xa0\x80", "a" * 2_000]
    ),
)  # fmt: skip
HEX = st.text("0123456789abcdefABCDEFg-", min_size=50, max_size=58)
ADDRESSES = st.sampled_from(
    [
        "10.0.0.1",
        "10.0.0.1, 203.0.113.9",
        "::1",
        "::ffff:10.0.0.1",
        "fe80::1%eth0",
        "[::1]:80",
        "unknown",
        "10.0.0.1:80",
    ]
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "X-Request-ID": TEXTS | st.from_regex(r"[A-Za-z0-9._:/+=-]{120,130}", fullmatch=True),
        "traceparent": TEXTS | HEX.map("00-{}".format) | st.just(f"00-{'a' * 32}-{'b' * 16}-01"),
        "Idempotency-Key": TEXTS,
        "webhook-id": TEXTS,
        "Content-Type": TEXTS | st.sampled_from(["application/json", "text/plain; charset=utf-7", "APPLICATION/XML", "a/b+xml"]),
        "Content-Encoding": TEXTS | st.sampled_from(["identity", "gzip", "IDENTITY"]),
        "X-Forwarded-For": TEXTS | ADDRESSES,
        "X-Forwarded-Host": TEXTS,
        "X-Forwarded-Proto": TEXTS,
        "Accept": TEXTS,
        "Cookie": TEXTS,
        "Range": TEXTS,
        "Origin": TEXTS,
    },
)  # fmt: skip
CREDENTIALS = TEXTS | st.builds("{} {}".format, st.sampled_from(["Basic", "basic", "Bearer", "Digest", "\x00"]), TEXTS)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"", b"[]", b"{}", b"null", b"[" * 500, b"{" * 64,
                     b'{"sys_id": 1e999}', b'{"a": ' + b"9" * 5_000 + b"}",
                     b"\xff" * 70_000]),
    st.builds(
        '{{"sys_id": "{}", "state": {}, "sys_mod_count": {}, "sys_updated_on": "{}", "number": {}}}'.format,
        st.integers(0, 3).map(sys_id),
        st.sampled_from(["6", '"6"', '"Resolved"', '"\\u0000"', "1", "null", '{"value": "6"}', '"' + "9" * 400 + '"', "[6]"]),
        st.sampled_from(["0", "-1", '"1e9"', "9" * 300, "1.5", '"٣"', "null", "{}"]),
        st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31 23:59:59-14:00", "2026-11-22 10:20:30", "", "x"]),
        st.sampled_from(['"INC1"', "1", '"\\ud800"', "null", '"\\u202e"', '"' + "x" * 3_000 + '"']),
    ).map(str.encode),
)  # fmt: skip
QUERIES = st.dictionaries(
    st.sampled_from(["integration", "status", "sys_id", "number", "reason", "since", "until", "limit", "cursor", "user", "type",
                     "delivery_id"]),
    st.one_of(
        st.text(st.characters(codec="utf-8"), max_size=12),
        st.sampled_from(
            ["acme", "dead", "queued", sys_id(1), "INC1", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0", "501",
             "٣", "1" * 400, "0-0@acme", "0-1@acme", "9999999999999999999-9999999999999999999@acme", "999999999999999.A", "0.0",
             "Z" * 26, "7" * 26]
        ),
    ),
    max_size=4,
)  # fmt: skip
PATHS = st.sampled_from(
    [
        "deliveries",
        "rejections",
        "audit",
        "integrations",
        "stats",
        f"deliveries/{'0' * 26}",
        "rejections/%00",
        "deliveries/replay",
    ]
)


@pytest.fixture(scope="module")
def app(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application in this process, behind one proxy."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    write_mapping(folder, "acme", mapping("http://127.0.0.1:9"))
    write_mapping(folder, "inside", mapping("http://127.0.0.1:9", allow_from=["10.0.0.0/8"]))
    environ = {
        "RELAY_REDIS_URL": redis_url,
        "RELAY_MAPPINGS": str(folder),
        "RELAY_TRUSTED_PROXIES": "1",
        "RELAY_MAX_BODY": "64KiB",
        "RELAY_ADMIN_TOKEN": TOKEN,
        "RELAY_RELOAD_INTERVAL": "1h",
        "ACME_WEBHOOK_PASSWORD": WEBHOOK_PASSWORD,
    }
    redactor = Redactor()
    return create_app(Foundation(load_settings(environ), SecretReader(environ, redactor), redactor))


def answered(app: Flask, path: str, headers: dict[str, str], **options: Any) -> tuple[int, Any]:
    """Return the status and the content of an answer, after checking what every answer has."""
    answer = app.test_client().open(path, headers=headers, **options)
    given = headers.get("X-Request-ID", "")
    request_id = answer.headers["X-Request-ID"]
    assert re.fullmatch(r"[A-Za-z0-9._:/+=-]{1,128}", request_id)
    assert request_id == given or not re.fullmatch(r"[A-Za-z0-9._:/+=-]{1,128}", given)
    content = answer.get_json()
    if answer.status_code >= 400:
        assert list(content)[:3] == ["status", "title", "detail"]
        assert content["status"] == answer.status_code
        assert TOKEN not in answer.text
        assert WEBHOOK_PASSWORD not in answer.text
    return answer.status_code, content


@HOSTILE
@given(HEADERS, BODIES, st.sampled_from(["acme", "inside"]))
def test_any_request_of_a_sender_gets_a_documented_answer(
    app: Flask, redis: Connection, headers: dict[str, str], body: bytes, name: str
) -> None:
    status, _ = answered(app, f"/webhooks/{name}", {**headers, "Authorization": GOOD}, method="POST", data=body)

    assert status in {200, 202, 400, 403, 413, 415, 422}


@HOSTILE
@given(HEADERS, CREDENTIALS, st.sampled_from(["webhooks/acme", "api/v1/stats"]))
def test_no_header_gives_access(
    app: Flask, redis: Connection, headers: dict[str, str], credentials: str, path: str
) -> None:
    method = "POST" if path.startswith("webhooks") else "GET"

    status, _ = answered(
        app,
        f"/{path}",
        {**headers, "Authorization": credentials},
        method=method,
        data=b"{}" if method == "POST" else None,
    )

    # 400: the host name is invalid; 415: a compressed body is refused before the credentials are checked.
    assert status in {400, 401, 429} | ({415} if path.startswith("webhooks") else set())


@HOSTILE
@given(st.lists(BODIES, min_size=1, max_size=3), PATHS, QUERIES)
def test_operator_lists_are_answered_after_any_webhook(
    app: Flask, redis: Connection, bodies: list[bytes], path: str, query: dict[str, str]
) -> None:
    for body in bodies:
        answered(app, "/webhooks/acme", {"Authorization": GOOD}, method="POST", data=body)

    status, content = answered(app, f"/api/v1/{path}", {"Authorization": f"Bearer {TOKEN}"}, query_string=query)

    assert status in {200, 404, 405, 422}
    if status == 200 and path in {"deliveries", "rejections", "audit"}:
        assert len(content["items"]) <= 500


@HOSTILE
@given(HEADERS)
def test_only_a_valid_traceparent_is_logged(
    app: Flask, redis: Connection, caplog: pytest.LogCaptureFixture, headers: dict[str, str]
) -> None:
    caplog.clear()
    with caplog.at_level(logging.INFO, "relay.web"):
        answered(app, "/webhooks/acme", headers, method="POST", data=b"{}")

    (record,) = [record for record in caplog.records if record.getMessage() == "request"]
    fields = vars(record)["relay_fields"]
    assert re.fullmatch(
        r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fields.get("traceparent", f"00-{'0' * 32}-{'0' * 16}-00")
    )
    assert fields["http_status"] in {400, 401, 415, 429}
