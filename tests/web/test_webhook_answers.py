"""`POST /webhooks/<integration>`: every answer that docs/senders/webhook-api.md lists, from gunicorn with two processes."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import re
import socket
from typing import Any

import pytest
import requests
from harness import SYS_ID, Relay, sys_id

from relay.store.connection import Connection

RESOLVED = {"sys_id": SYS_ID, "state": "6", "number": "INC0010023", "sys_mod_count": "7"}


def problem_of(answer: requests.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert list(problem)[:3] == ["status", "title", "detail"]
    assert {"type", "instance", "request_id"} <= set(problem)
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert "Traceback" not in answer.text
    return problem


def test_a_resolution_is_queued_and_the_answer_fits_100_characters(web: Relay) -> None:
    answer = web.post(RESOLVED)

    assert answer.status_code == 202
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.text.startswith('{"status":"queued","delivery_id":"')
    assert len(answer.text) <= 100


def test_a_duplicate_webhook_returns_the_first_delivery_id(web: Relay) -> None:
    first = web.post(RESOLVED).json()["delivery_id"]

    again = web.post(RESOLVED)

    assert again.status_code == 200
    assert again.json() == {"status": "duplicate", "delivery_id": first}


def test_a_state_that_is_not_relayed_is_ignored_with_a_reason(web: Relay) -> None:
    answer = web.post({**RESOLVED, "state": "2"})

    assert answer.status_code == 200
    assert answer.json()["status"] == "ignored"
    assert "state 2" in answer.json()["reason"]


def test_an_older_update_that_arrives_late_is_superseded(web: Relay) -> None:
    web.post({**RESOLVED, "sys_mod_count": "9"})

    late = web.post({**RESOLVED, "sys_mod_count": "8"})

    assert late.status_code == 200
    assert late.json()["status"] == "superseded"
    assert web.delivery_status(late.json()["delivery_id"]) == "superseded"


def test_several_records_are_answered_one_by_one_in_order(web: Relay) -> None:
    other = {**RESOLVED, "sys_id": sys_id(2)}

    answer = web.post([RESOLVED, {**other, "state": "2"}, {"sys_id": "nonsense"}, RESOLVED, other])

    assert answer.status_code == 207
    assert answer.json()["status"] == "batch"
    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["queued", "ignored", "rejected", "duplicate", "queued"]
    assert results[0]["delivery_id"] == results[3]["delivery_id"]
    assert {error["field"] for error in results[2]["errors"]} == {"sys_id", "state"}
    assert results[2]["rejection_id"]


def test_a_list_of_one_record_is_answered_like_a_single_record(web: Relay) -> None:
    assert web.post([RESOLVED]).json()["status"] == "queued"
    assert web.post({"result": RESOLVED}).json()["status"] == "duplicate"


@pytest.mark.parametrize("payload", [[], {"result": []}, None, "text", 7, {"sys_id": SYS_ID}, {"state": "6"}, [7]])
def test_json_without_a_usable_record_is_422_and_kept(web: Relay, redis: Connection, payload: Any) -> None:
    problem = problem_of(web.post(json.dumps(payload)), 422)

    assert problem["errors"][0]["field"] in {"records", "sys_id", "state"}
    kept = redis.call("HGET", f"relay:{{acme}}:r:{problem['rejection_id']}", "record")
    assert json.loads(kept) == (payload[0] if payload == [7] else payload)


def test_an_unlisted_state_is_rejected_if_the_mapping_says_so(web: Relay) -> None:
    problem = problem_of(web.post({**RESOLVED, "state": "2"}, name="strict"), 422)

    assert problem["errors"][0]["field"] == "state"
    assert problem["errors"][0]["value"] == "2"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "empty"),
        (b'{"sys_id": "a",}', "trailing comma"),
        (b'{"a": "x\ny"}', "Line 1 column 9: unescaped control character (a newline)"),
        (b'{"a": "C:\\users"}', "invalid escape"),
        (b'{"a": ${current.number}}', "placeholder"),
        (b'{"a": "x', "cut off"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1, "a": 2}', "uplicate key 'a'"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 100_00, "nested deeper"),
        (b"not json", "invalid JSON"),
    ],
)
def test_a_body_that_is_not_json_is_400_with_the_cause(web: Relay, body: bytes, cause: str) -> None:
    problem = problem_of(web.post(body), 400)

    assert cause in problem["detail"]


def test_a_byte_order_mark_and_text_plain_are_accepted(web: Relay) -> None:
    assert web.post(b"\xef\xbb\xbf" + json.dumps(RESOLVED).encode()).status_code == 202
    assert web.post(json.dumps(RESOLVED), headers={"Content-Type": "text/plain"}).status_code == 200


@pytest.mark.parametrize("kind", ["application/xml", "text/html", "multipart/form-data; boundary=x", "image/png"])
def test_a_content_type_that_is_certainly_not_json_is_415(web: Relay, kind: str) -> None:
    problem_of(web.post(json.dumps(RESOLVED), headers={"Content-Type": kind}), 415)


def test_a_compressed_body_is_415(web: Relay) -> None:
    problem_of(web.post(json.dumps(RESOLVED), headers={"Content-Encoding": "gzip"}), 415)


def test_a_large_body_is_413_with_and_without_a_length(web: Relay) -> None:
    large = json.dumps({**RESOLVED, "notes": "x" * 70_000}).encode()

    problem_of(web.post(large), 413)
    chunked = requests.post(
        f"{web.url}/webhooks/acme", data=iter([large[:1000], large[1000:]]), auth=("sn", "sn-secret-pw"), timeout=5
    )
    problem_of(chunked, 413)


def test_more_than_500_records_are_413_and_500_are_not(web: Relay) -> None:
    records = [{"sys_id": sys_id(number), "state": 6} for number in range(501)]

    problem_of(web.post(records), 413)
    answer = web.post(records[:500])
    assert answer.status_code == 207
    assert {result["status"] for result in answer.json()["results"]} == {"queued"}


def test_a_trailing_slash_is_not_redirected(web: Relay) -> None:
    answer = requests.post(f"{web.url}/webhooks/open/", json=RESOLVED, timeout=5, allow_redirects=False)

    assert answer.status_code == 202


@pytest.mark.parametrize("auth", [None, ("sn", "wrong"), ("other", "sn-secret-pw"), ("sn", "")])
def test_an_unknown_sender_is_401_with_a_challenge(web: Relay, auth: Any) -> None:
    answer = web.post(RESOLVED, auth=auth)

    problem_of(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_authentication_comes_before_parsing(web: Relay) -> None:
    problem_of(web.post(b"not json", auth=("sn", "wrong")), 401)


def test_a_signature_a_key_and_a_bearer_token_are_accepted(web: Relay) -> None:
    body = json.dumps(RESOLVED).encode()
    signature = hmac.digest(b"hmac-secret", body, hashlib.sha256).hex()

    answers = [
        web.post(body, name="signed", auth=None, headers={"X-Relay-Signature": f"sha256={signature}"}),
        web.post(body, name="signed", auth=None, headers={"X-API-Key": "api-key-secret"}),
        web.post(body, name="signed", auth=None, headers={"Authorization": "Bearer api-key-secret"}),
        web.post(body + b" ", name="signed", auth=None, headers={"X-Relay-Signature": f"sha256={signature}"}),
    ]

    assert [answer.status_code for answer in answers] == [202, 200, 200, 401]


def test_an_address_outside_allow_from_is_403(web: Relay) -> None:
    problem_of(web.post(RESOLVED, name="inside"), 403)
    answer = web.post(RESOLVED, name="inside", headers={"X-Forwarded-For": "10.1.2.3"})
    assert answer.status_code == 202


@pytest.mark.parametrize("name", ["unknown", "off", "../etc", "_hidden"])
def test_an_unknown_or_disabled_integration_is_404(web: Relay, name: str) -> None:
    problem_of(web.post(RESOLVED, name=name), 404)


@pytest.mark.parametrize("name", ["broken", "secretless"])
def test_an_unusable_mapping_is_503_and_others_still_work(web: Relay, name: str) -> None:
    answer = web.post(RESOLVED, name=name)

    problem = problem_of(answer, 503)
    assert problem["type"].endswith("mapping-unusable")
    assert answer.headers["Retry-After"]
    assert web.post(RESOLVED).status_code == 202


def test_another_method_is_405_and_another_path_404(web: Relay) -> None:
    problem_of(requests.get(f"{web.url}/webhooks/acme", timeout=5), 405)
    problem_of(requests.get(f"{web.url}/", timeout=5), 404)


def test_a_valid_request_id_is_returned_and_an_invalid_one_is_not(web: Relay) -> None:
    valid = web.post(RESOLVED, headers={"X-Request-ID": "abc-123"})
    invalid = web.post(RESOLVED, headers={"X-Request-ID": "a b\tc" * 50})

    assert valid.headers["X-Request-ID"] == "abc-123"
    assert invalid.headers["X-Request-ID"] != "a b\tc" * 50


def test_a_sender_can_get_the_status_of_its_delivery(web: Relay) -> None:
    delivery = web.post(RESOLVED).json()["delivery_id"]
    url = f"{web.url}/webhooks/acme/deliveries/{delivery}"

    answer = requests.get(url, auth=("sn", "sn-secret-pw"), timeout=5)

    assert answer.json() == {"status": "found", "delivery_id": delivery, "delivery_status": "queued"}
    problem_of(requests.get(url, timeout=5), 401)
    problem_of(requests.get(url[:-1] + "!", auth=("sn", "sn-secret-pw"), timeout=5), 404)


def test_an_idempotency_key_identifies_an_update_without_a_version(web: Relay) -> None:
    undated = {"sys_id": SYS_ID, "state": "6"}
    web.post(undated, headers={"Idempotency-Key": "one"})

    same = web.post(undated, headers={"Idempotency-Key": "one"})

    assert same.json()["status"] == "duplicate"


def test_no_secret_and_no_query_value_reaches_the_log(web: Relay) -> None:
    web.post(RESOLVED, params={"token": "query-secret-value"})
    web.post(RESOLVED, auth=("sn", "a-wrong-guess"))

    log = web.processes[0].log
    assert '"query_names": ["token"]' in log
    for secret in ("query-secret-value", "sn-secret-pw", "a-wrong-guess", "hmac-secret", "api-key-secret", "Basic "):
        assert secret not in log


def test_each_refusal_is_counted_and_logged(web: Relay) -> None:
    def count(status: int) -> float:
        found = re.search(
            rf'relay_webhook_refusals_total{{status="{status}"}} (\S+)', requests.get(url, timeout=5).text
        )
        return float(found[1]) if found else 0.0

    def refusals(status: int) -> int:
        return sum(line.get("http_status") == status for line in web.processes[0].logged)

    url = f"{web.url}/metrics"
    before = {status: (count(status), refusals(status)) for status in (401, 403, 415)}
    web.post(RESOLVED, auth=("sn", "a-wrong-guess"))
    web.post(RESOLVED, name="inside")
    web.post(RESOLVED, headers={"Content-Encoding": "gzip"})

    assert {status: (count(status) - 1, refusals(status) - 1) for status in before} == before


def test_invalid_chunked_encoding_is_400(web: Relay) -> None:
    head = "POST /webhooks/open HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", web.port), timeout=5) as connection:
        connection.sendall(head.encode() + b"zz\r\n{}\r\n0\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        text = answer.read().decode()

    assert answer.status == 400
    assert "not valid chunked encoding" in text


def test_a_connection_can_be_used_after_each_refusal(web: Relay) -> None:
    with requests.Session() as session:
        url = f"{web.url}/webhooks/acme"
        statuses = []
        for number, (body, auth) in enumerate(
            [(b"{bad", "sn-secret-pw"), (b"{}", "wrong"), (b"x" * 70_000, "sn-secret-pw")]
        ):
            statuses.append(session.post(url, data=body, auth=("sn", auth), timeout=5).status_code)
            resolved = {**RESOLVED, "sys_id": sys_id(number)}
            statuses.append(session.post(url, json=resolved, auth=("sn", "sn-secret-pw"), timeout=5).status_code)

    assert statuses == [400, 202, 401, 202, 413, 202]
