"""Authentication of senders: published vectors, changes of secrets, timestamps. Malformed input fails without an exception."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.authentication import Authentication, BasicAuth, HeaderAuth, HmacAuth, StandardWebhooksAuth
from relay.core.references import Env
from relay.core.sender_authentication import TIMESTAMP_TOLERANCE, ReceivedRequest, authenticate

NOW = 1_795_342_830.0
BODY = b'{"sys_id":"9d385017c611228701d22104cc95c371","state":"6"}'
ELSEWHERE = Env("READ_BY_THE_CALLER")

BASIC = BasicAuth("servicenow", ELSEWHERE)
API_KEY = HeaderAuth("X-API-Key", ELSEWHERE)
BARE_AUTHORIZATION = HeaderAuth("Authorization", ELSEWHERE)
BEARER = HeaderAuth("Authorization", ELSEWHERE, scheme="Bearer")
HMAC = HmacAuth(header="X-Relay-Signature", algorithm="sha256", encoding="any", secrets=(ELSEWHERE,))
HMAC_HEX = HmacAuth(header="X-Relay-Signature", algorithm="sha256", encoding="hex", secrets=(ELSEWHERE,))
HMAC_BASE64 = HmacAuth(header="X-Relay-Signature", algorithm="sha256", encoding="base64", secrets=(ELSEWHERE,))
HMAC_STAMPED = HmacAuth(
    header="X-Relay-Signature",
    algorithm="sha256",
    encoding="any",
    secrets=(ELSEWHERE,),
    timestamp_header="X-Relay-Timestamp",
)
STANDARD = StandardWebhooksAuth((ELSEWHERE,))
METHODS = (BASIC, API_KEY, BARE_AUTHORIZATION, BEARER, HMAC, HMAC_HEX, HMAC_BASE64, HMAC_STAMPED, STANDARD)

#: The vector of docs/development/servicenow-contract.md: key sample_key, data sample_data.
SERVICENOW_BASE64 = "4VWUI48lJvmGSF6MYmOVWA9c0hfu55Ur+3e+fUFFFr4="
SERVICENOW_HEX = "e15594238f2526f986485e8c626395580f5cd217eee7952bfb77be7d414516be"

#: The vector that the Standard Webhooks libraries publish.
PUBLISHED_SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLISHED_AT = 1_614_265_330.0
PUBLISHED_BODY = b'{"test": 2432232314}'
PUBLISHED_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
PUBLISHED_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": PUBLISHED_SIGNATURE,
}


def basic(user_and_password: bytes) -> str:
    return "Basic " + base64.b64encode(user_and_password).decode()


def authenticated(
    method: Authentication, headers: dict[str, str], *secrets: bytes, body: bytes = BODY, at: float = NOW
) -> bool:
    return authenticate(method, secrets, ReceivedRequest(headers, body, at)) is not None


@pytest.mark.parametrize(
    ("authorization", "is_valid"),
    [
        (basic(b"servicenow:s3cret"), True),
        (basic(b"servicenow:s3cret").replace("Basic ", "basic   "), True),
        (basic(b"servicenow:s3cret").rstrip("="), True),
        (basic(b"servicenow:s3cret:more"), False),
        (basic(b"servicenow:S3cret"), False),
        (basic(b"ServiceNow:s3cret"), False),
        (basic(b"servicenow:"), False),
        (basic(b"servicenow"), False),
        (basic(b":s3cret"), False),
        ("Bearer " + base64.b64encode(b"servicenow:s3cret").decode(), False),
        (base64.b64encode(b"servicenow:s3cret").decode(), False),
        ("Basic servicenow:s3cret", False),
        ("Basic", False),
        ("Basic !!!!", False),
        (basic(b"servicenow:s3cret") + "!", False),
        ("", False),
    ],
)
def test_basic_authentication_checks_user_and_password(authorization: str, is_valid: bool) -> None:
    assert authenticated(BASIC, {"authorization": authorization}, b"s3cret") == is_valid


def test_a_basic_password_can_contain_colons_and_any_letters() -> None:
    password = "pä:ss:wörd".encode()

    assert authenticated(BASIC, {"authorization": basic(b"servicenow:" + password)}, password)


@pytest.mark.parametrize(
    ("method", "headers", "is_valid"),
    [
        (API_KEY, {"x-api-key": "k3y"}, True),
        (API_KEY, {"x-api-key": "k3y "}, False),
        (API_KEY, {"x-api-key": "K3Y"}, False),
        (API_KEY, {"x-api-key": ""}, False),
        (API_KEY, {"authorization": "k3y"}, False),
        (BARE_AUTHORIZATION, {"authorization": "k3y"}, True),
        (BARE_AUTHORIZATION, {"authorization": "Bearer k3y"}, False),
        (BEARER, {"authorization": "Bearer k3y"}, True),
        (BEARER, {"authorization": "bearer  k3y "}, True),
        (BEARER, {"authorization": "Token k3y"}, False),
        (BEARER, {"authorization": "Bearer"}, False),
        (BEARER, {"authorization": "k3y"}, False),
        (BEARER, {}, False),
    ],
)
def test_an_api_key_follows_its_scheme_in_its_header(
    method: HeaderAuth, headers: dict[str, str], is_valid: bool
) -> None:
    assert authenticated(method, headers, b"k3y") == is_valid


@pytest.mark.parametrize(
    ("method", "signature", "is_valid"),
    [
        (HMAC, SERVICENOW_BASE64, True),
        (HMAC, SERVICENOW_HEX, True),
        (HMAC, SERVICENOW_HEX.upper(), True),
        (HMAC, f"sha256={SERVICENOW_HEX}", True),
        (HMAC, f"SHA256={SERVICENOW_BASE64}", True),
        (HMAC, f" {SERVICENOW_BASE64} ", True),
        (HMAC, SERVICENOW_BASE64.rstrip("="), True),
        (HMAC_HEX, SERVICENOW_HEX, True),
        (HMAC_BASE64, SERVICENOW_BASE64, True),
        (HMAC_HEX, SERVICENOW_BASE64, False),
        (HMAC_BASE64, SERVICENOW_HEX, False),
        (HMAC, f"sha512={SERVICENOW_HEX}", False),
        (HMAC, SERVICENOW_HEX[:-2], False),
        (HMAC, SERVICENOW_HEX[:-1] + "f", False),
        (HMAC, "sha256=", False),
        (HMAC, "", False),
    ],
)
def test_the_published_vector_of_servicenow_is_valid(method: HmacAuth, signature: str, is_valid: bool) -> None:
    headers = {"x-relay-signature": signature}

    assert authenticated(method, headers, b"sample_key", body=b"sample_data") == is_valid


@pytest.mark.parametrize(("algorithm", "length"), [("sha1", 20), ("sha256", 32), ("sha512", 64)])
@pytest.mark.parametrize("prefixed", [False, True])
def test_each_algorithm_is_accepted_in_hex_and_base64(algorithm: str, length: int, prefixed: bool) -> None:
    method = HmacAuth(header="X-Relay-Signature", algorithm=algorithm, encoding="any", secrets=(ELSEWHERE,))  # type: ignore[arg-type] # a valid algorithm
    digest = hmac.digest(b"s3cret", BODY, algorithm)
    prefix = f"{algorithm}=" if prefixed else ""

    assert len(digest) == length
    assert authenticated(method, {"x-relay-signature": prefix + digest.hex()}, b"s3cret")
    assert authenticated(method, {"x-relay-signature": prefix + base64.b64encode(digest).decode()}, b"s3cret")
    assert not authenticated(method, {"x-relay-signature": prefix + digest.hex()}, b"s3cret", body=BODY + b" ")


def test_the_signature_covers_the_raw_bytes() -> None:
    body = b"\xef\xbb\xbf{\xff\x00,}\r\n"
    signature = hmac.digest(b"s3cret", body, hashlib.sha256).hex()

    assert authenticated(HMAC, {"x-relay-signature": signature}, b"s3cret", body=body)


@pytest.mark.parametrize("method", [BASIC, API_KEY, HMAC])
def test_each_of_several_secrets_is_accepted(method: Authentication) -> None:
    def headers_with(secret: bytes) -> dict[str, str]:
        signature = hmac.digest(secret, BODY, hashlib.sha256).hex()
        return {
            "authorization": basic(b"servicenow:" + secret),
            "x-api-key": secret.decode(),
            "x-relay-signature": signature,
        }

    assert authenticated(method, headers_with(b"new"), b"new", b"old")
    assert authenticated(method, headers_with(b"old"), b"new", b"old")
    assert not authenticated(method, headers_with(b"older"), b"new", b"old")


@pytest.mark.parametrize(
    ("age", "is_valid"),
    [(0, True), (TIMESTAMP_TOLERANCE, True), (-TIMESTAMP_TOLERANCE, True), (301, False), (-301, False)],
)
def test_a_signed_timestamp_is_valid_for_five_minutes(age: int, is_valid: bool) -> None:
    timestamp = str(int(NOW) - age)
    signature = hmac.digest(b"s3cret", timestamp.encode() + b"." + BODY, hashlib.sha256).hex()
    headers = {"x-relay-timestamp": timestamp, "x-relay-signature": signature}

    assert authenticated(HMAC_STAMPED, headers, b"s3cret") == is_valid


def test_a_signed_timestamp_can_be_in_milliseconds() -> None:
    timestamp = str(int(NOW * 1000) - 60_000)
    signature = hmac.digest(b"s3cret", timestamp.encode() + b"." + BODY, hashlib.sha256).hex()

    assert authenticated(HMAC_STAMPED, {"x-relay-timestamp": timestamp, "x-relay-signature": signature}, b"s3cret")


@pytest.mark.parametrize(
    "timestamp", ["", "now", "-1", "1e9", "1795342830.0", " 1795342830", "١٧٩٥٣٤٢٨٣٠", "9" * 14, "9" * 5_000]
)
def test_a_timestamp_that_is_not_a_unix_time_is_refused(timestamp: str) -> None:
    signature = hmac.digest(b"s3cret", timestamp.encode() + b"." + BODY, hashlib.sha256).hex()
    headers = {"x-relay-timestamp": timestamp, "x-relay-signature": signature}

    assert not authenticated(HMAC_STAMPED, headers, b"s3cret")


def test_a_signature_without_the_required_timestamp_is_refused() -> None:
    signature = hmac.digest(b"s3cret", BODY, hashlib.sha256).hex()

    assert not authenticated(HMAC_STAMPED, {"x-relay-signature": signature}, b"s3cret")
    assert not authenticated(
        HMAC_STAMPED, {"x-relay-signature": signature, "x-relay-timestamp": str(int(NOW))}, b"s3cret"
    )


@pytest.mark.parametrize(
    ("signature", "is_valid"),
    [
        (PUBLISHED_SIGNATURE, True),
        (f"v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,other {PUBLISHED_SIGNATURE}", True),
        (f"v1a,{PUBLISHED_SIGNATURE[3:]}", False),
        (f"v2,{PUBLISHED_SIGNATURE[3:]}", False),
        (PUBLISHED_SIGNATURE[3:], False),
        ("v1,", False),
        ("v1", False),
        ("", False),
    ],
)
def test_the_published_vector_of_standard_webhooks_is_valid(signature: str, is_valid: bool) -> None:
    headers = {**PUBLISHED_HEADERS, "webhook-signature": signature}

    assert authenticated(STANDARD, headers, PUBLISHED_SECRET, body=PUBLISHED_BODY, at=PUBLISHED_AT) == is_valid


def test_a_standard_webhooks_secret_works_without_prefix_and_among_others() -> None:
    bare = PUBLISHED_SECRET.removeprefix(b"whsec_")

    assert authenticated(STANDARD, PUBLISHED_HEADERS, bare, body=PUBLISHED_BODY, at=PUBLISHED_AT)
    assert authenticated(STANDARD, PUBLISHED_HEADERS, b"whsec_b3RoZXI=", bare, body=PUBLISHED_BODY, at=PUBLISHED_AT)
    assert not authenticated(STANDARD, PUBLISHED_HEADERS, b"whsec_b3RoZXI=", body=PUBLISHED_BODY, at=PUBLISHED_AT)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "soon"},
    ],
)
def test_standard_webhooks_sign_id_and_timestamp(changed: dict[str, str]) -> None:
    headers = {**PUBLISHED_HEADERS, **changed}

    assert not authenticated(STANDARD, headers, PUBLISHED_SECRET, body=PUBLISHED_BODY, at=PUBLISHED_AT)


def test_a_standard_webhook_without_webhook_id_is_refused() -> None:
    key = base64.b64decode(PUBLISHED_SECRET.removeprefix(b"whsec_"))
    signature = base64.b64encode(hmac.digest(key, b".1614265330." + PUBLISHED_BODY, hashlib.sha256)).decode()
    headers = {"webhook-timestamp": "1614265330", "webhook-signature": f"v1,{signature}"}

    assert not authenticated(STANDARD, headers, PUBLISHED_SECRET, body=PUBLISHED_BODY, at=PUBLISHED_AT)
    assert not authenticated(
        STANDARD, {**headers, "webhook-id": ""}, PUBLISHED_SECRET, body=PUBLISHED_BODY, at=PUBLISHED_AT
    )


@pytest.mark.parametrize(("late", "is_valid"), [(300, True), (301, False), (-301, False)])
def test_a_standard_webhook_is_refused_after_five_minutes(late: int, is_valid: bool) -> None:
    at = PUBLISHED_AT + late

    assert authenticated(STANDARD, PUBLISHED_HEADERS, PUBLISHED_SECRET, body=PUBLISHED_BODY, at=at) == is_valid


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_without_headers_or_secrets_authentication_fails(method: Authentication) -> None:
    empty = hmac.digest(b"", BODY, hashlib.sha256).hex()
    headers = {"authorization": "", "x-api-key": "", "x-relay-signature": empty, **PUBLISHED_HEADERS}

    assert not authenticated(method, {}, b"s3cret")
    assert not authenticated(method, headers)


@pytest.mark.parametrize(("method", "headers"), [(API_KEY, {"x-api-key": ""}), (BEARER, {"authorization": "Bearer "})])
def test_an_empty_secret_authenticates_no_sender(method: Authentication, headers: dict[str, str]) -> None:
    assert not authenticated(method, headers, b"")


@pytest.mark.parametrize(
    ("method", "headers", "sender"),
    [
        (BASIC, {"authorization": basic(b"servicenow:s3cret")}, "basic:servicenow"),
        (API_KEY, {"x-api-key": "s3cret"}, "header:X-API-Key"),
        (HMAC, {"x-relay-signature": hmac.digest(b"s3cret", BODY, hashlib.sha256).hex()}, "hmac:X-Relay-Signature"),
    ],
)
def test_the_name_of_a_sender_contains_no_secret(method: Authentication, headers: dict[str, str], sender: str) -> None:
    assert authenticate(method, [b"s3cret"], ReceivedRequest(headers, BODY, NOW)) == sender


HEADER_TEXTS = st.one_of(
    st.text(st.characters(), max_size=40),
    st.text("=ABCabc019+/-_ ,.:v%", max_size=40),
    st.sampled_from(["Basic ", "Bearer ", "sha256=", "v1,", "v1,=", "Basic ====", "Bearer \ud800", "0", str(int(NOW))]),
)
NAMES = (
    "authorization",
    "x-api-key",
    "x-relay-signature",
    "x-relay-timestamp",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
)
HEADERS = st.dictionaries(st.sampled_from(NAMES), HEADER_TEXTS)


@settings(max_examples=examples(500), deadline=None)
@given(st.sampled_from(METHODS), HEADERS, st.binary(max_size=50), st.lists(st.binary(max_size=20), max_size=3))
def test_malformed_headers_fail_without_raising(
    method: Authentication, headers: dict[str, str], body: bytes, secrets: list[bytes]
) -> None:
    unguessable = [b"unguessable \xff" + secret for secret in secrets]

    assert authenticate(method, unguessable, ReceivedRequest(headers, body, NOW)) is None


SECRET_KEYS = st.binary(min_size=1, max_size=40)
BODIES = st.binary(max_size=60) | st.just(BODY)
#: Changes that can happen to a header between sender and relay.
SLIPS = st.sampled_from(
    ["", " ", ",", "=", "A", "0", "\x00", "\x7f", "\xa0", "é", "\u202e", "v1,", "sha256=", "Bearer "]
)


def stamped(moved: int = 0) -> str:
    return str(int(NOW) + moved)


def signed_headers(
    method: Authentication, secret: bytes, body: bytes, timestamp: str, message_id: str
) -> dict[str, str]:
    """Return the headers of a sender that has the secret, by the specifications, without the code under test."""
    match method:
        case BasicAuth():
            return {"authorization": basic(b"servicenow:" + secret)}
        case HeaderAuth():
            key = secret.decode("latin-1")
            return {method.header.lower(): f"{method.scheme} {key}" if method.scheme else key}
        case HmacAuth():
            text = timestamp.encode() + b"." + body if method.timestamp_header else body
            mac = hmac.new(secret, text, method.algorithm)
            signature = base64.b64encode(mac.digest()).decode() if method.encoding == "base64" else mac.hexdigest()
            return {"x-relay-signature": signature, "x-relay-timestamp": timestamp}
        case StandardWebhooksAuth():
            text = message_id.encode("latin-1") + b"." + timestamp.encode() + b"." + body
            signature = base64.b64encode(hmac.new(secret, text, hashlib.sha256).digest()).decode()
            return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}


def as_configured(method: Authentication, secret: bytes) -> bytes:
    return b"whsec_" + base64.b64encode(secret) if isinstance(method, StandardWebhooksAuth) else secret


@given(
    st.sampled_from(METHODS),
    SECRET_KEYS,
    SECRET_KEYS,
    BODIES,
    st.integers(-TIMESTAMP_TOLERANCE, TIMESTAMP_TOLERANCE),
    st.text(st.characters(codec="latin-1"), min_size=1),
)
def test_only_the_right_secret_authenticates(
    method: Authentication, secret: bytes, other: bytes, body: bytes, moved: int, message_id: str
) -> None:
    secret, other = (text.strip(b" \t") or b"s3cret" for text in (secret, other))
    headers = signed_headers(method, secret, body, stamped(moved), message_id)

    assert authenticated(method, headers, as_configured(method, secret), body=body)
    # HMAC pads a short key with zeros (RFC 2104), so these keys are equal.
    if secret.rstrip(b"\0") != other.rstrip(b"\0"):
        assert not authenticated(method, headers, as_configured(method, other), body=body)


@settings(max_examples=examples(500), deadline=None)
@given(st.sampled_from(METHODS), st.data())
def test_a_changed_header_fails_unless_it_means_the_same(method: Authentication, data: st.DataObject) -> None:
    headers = signed_headers(method, b"s3cret\xff", BODY, stamped(), "msg_1")
    name = data.draw(st.sampled_from(sorted(headers)))
    value = headers[name]
    start = data.draw(st.integers(0, len(value)))
    end = data.draw(st.integers(start, min(len(value), start + 2)))
    changed = value[:start] + data.draw(SLIPS) + value[end:]

    known = authenticated(method, {**headers, name: changed}, as_configured(method, b"s3cret\xff"))

    assert not known or meaning_of(name, changed, method) & meaning_of(name, value, method)


def meaning_of(name: str, value: str, method: Authentication) -> set[str]:
    """Return all meanings of a header: what a change must not alter."""
    unused = isinstance(method, HmacAuth) and name == "x-relay-timestamp" and not method.timestamp_header
    if unused:
        return {""}
    if name == "webhook-signature":
        return {canonical(part.removeprefix("v1,")) for part in value.split() if part.startswith("v1,")}
    if name == "authorization" and (
        isinstance(method, BasicAuth) or (isinstance(method, HeaderAuth) and method.scheme)
    ):
        scheme, _, rest = value.partition(" ")
        return {scheme.lower() + " " + (canonical(rest) if isinstance(method, BasicAuth) else rest.strip(" \t"))}
    if name == "x-relay-signature":
        bare = value.strip().lower().removeprefix("sha256=")
        return {"".join(bare.split())} if method in (HMAC, HMAC_HEX, HMAC_STAMPED) else {canonical(value.strip()[-44:])}
    return {value}


def canonical(text: str) -> str:
    """Return base64 without the characters in which two spellings of the same bytes can differ."""
    return base64.b64encode(base64.b64decode(text.strip().rstrip("=") + "==")).decode()


@given(st.sampled_from(METHODS), st.binary(max_size=60), st.data())
def test_a_signature_is_valid_for_one_body_only(method: Authentication, body: bytes, data: st.DataObject) -> None:
    headers = signed_headers(method, b"s3cret", body, stamped(), "msg_1")
    at = data.draw(st.integers(0, len(body)))
    changed = body[:at] + data.draw(st.binary(min_size=1, max_size=3)) + body[at:]

    assert authenticated(method, headers, as_configured(method, b"s3cret"), body=changed) == isinstance(
        method, BasicAuth | HeaderAuth
    )


@given(st.sampled_from([HMAC_STAMPED, STANDARD]), st.integers(0, 10**13 - 1))
def test_a_signed_time_is_valid_only_within_five_minutes(method: Authentication, at: int) -> None:
    headers = signed_headers(method, b"s3cret", BODY, str(at), "msg_1")
    seconds = at / 1000 if at >= 10**11 else at

    assert authenticated(method, headers, as_configured(method, b"s3cret")) == (
        abs(seconds - NOW) <= TIMESTAMP_TOLERANCE
    )


def test_a_key_with_any_letters_is_compared_as_bytes() -> None:
    sent = "schlüssel-à".encode()

    assert authenticated(API_KEY, {"x-api-key": sent.decode("latin-1")}, sent)
    assert authenticated(BEARER, {"authorization": f"Bearer {sent.decode('latin-1')}"}, sent)
    assert not authenticated(API_KEY, {"x-api-key": "schlüssel-à"}, sent)
