"""What the pages for senders show: the answers to a webhook, statuses of deliveries, and headers that authenticate."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from docs.markdown import blocks, code, read_text, section, tables
from docs.site_mappings import integration_of, shortest_file

from relay.clock import now_ms
from relay.core.authentication import Authentication, HmacAuth, StandardWebhooksAuth
from relay.core.mapping import map_payload
from relay.core.model import Rejected
from relay.core.references import Env
from relay.core.sender_authentication import ReceivedRequest, authenticate
from relay.store.delivery_reader import STATUSES
from relay.web.openapi.openapi_document import make_document

WEBHOOK_API = "docs/senders/webhook-api.md"
AUTHENTICATION = "docs/senders/authentication.md"
BODY = b'{"sys_id":"9d385017c611228701d22104cc95c371","state":"6"}'
KEY = Env("KEY")
SIGNED = HmacAuth(header="X-Relay-Signature", algorithm="sha256", encoding="any", secrets=(KEY,))
SIGNED_WITH_TIME = HmacAuth(
    header="X-Relay-Signature", algorithm="sha256", encoding="any", secrets=(KEY,), timestamp_header="X-Relay-Timestamp"
)


def test_the_answers_on_the_page_have_the_statuses_of_the_openapi_document() -> None:
    (table,) = tables(section("Answers", WEBHOOK_API))

    answers = make_document()["paths"]["/webhooks/{name}"]["post"]["responses"]

    assert {row[0] for row in table.rows} == set(answers)


def test_the_problem_on_the_page_is_that_of_a_payload_without_a_state() -> None:
    (block,) = blocks(section("Problems", WEBHOOK_API))
    shown = json.loads(block.text)

    (rejected,) = map_payload(integration_of(shortest_file()), {"sys_id": "9d385017c611228701d22104cc95c371"})

    assert isinstance(rejected, Rejected)
    (error,) = rejected.errors
    assert list(shown)[:3] == ["status", "title", "detail"]
    assert shown["detail"] == f"Field {error.field}: {error.problem}"
    assert shown["errors"] == [{name: value for name, value in asdict(error).items() if value is not None}]


def test_the_page_lists_each_status_of_a_delivery() -> None:
    (table,) = tables(section("Asking for the status of a delivery", WEBHOOK_API))

    assert {code(row[0])[0] for row in table.rows} == {"journaled", *STATUSES}


@pytest.mark.parametrize(
    ("title", "which", "method", "secret"),
    [
        ("Signature", 0, SIGNED, "a key"),
        ("Signature", 1, SIGNED_WITH_TIME, "a key"),
        ("Standard Webhooks", 0, StandardWebhooksAuth((KEY,)), "whsec_YSBsb25nIGtleQ=="),
    ],
)
def test_the_python_on_the_page_makes_headers_that_the_relay_accepts(
    title: str, which: int, method: Authentication, secret: str
) -> None:
    example = [block.text for block in blocks(section(title, AUTHENTICATION)) if block.language == "python"][which]
    names: dict[str, object] = {"body": BODY, "key": secret.encode(), "secret": secret}

    exec(example, names)

    headers = names["headers"]
    assert isinstance(headers, dict)
    request = ReceivedRequest({name.lower(): value for name, value in headers.items()}, BODY, now_ms() / 1000)
    assert authenticate(method, [secret.encode()], request)


def test_the_page_has_a_row_for_each_method_of_authentication() -> None:
    (table,) = tables(read_text(AUTHENTICATION))

    assert [code(row[0])[0] for row in table.rows] == ["basic", "header", "hmac", "standard-webhooks"]
