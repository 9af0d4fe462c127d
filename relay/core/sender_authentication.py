"""Authenticates the sender of a webhook by its headers and raw body.

Secrets are compared as bytes in constant time. Malformed input never raises an exception.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay.core.authentication import Authentication, BasicAuth, HeaderAuth, HmacAuth, StandardWebhooksAuth

#: A signed timestamp with a larger difference is refused as a replay (seconds).
TIMESTAMP_TOLERANCE = 300


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """The parts of a request that authentication checks."""

    #: Headers by lower-case name; their bytes are decoded as Latin-1 (PEP 3333).
    headers: Mapping[str, str]
    #: The raw body.
    body: bytes
    #: When the request arrived (Unix seconds).
    received_at: float


def authenticate(method: Authentication, secrets: Sequence[bytes], request: ReceivedRequest) -> str | None:
    """Return the sender of `request` as `method` identifies it, for the record; None if authentication fails."""
    match method:
        case BasicAuth():
            return _check_basic(method, secrets, request)
        case HmacAuth():
            return _check_hmac(method, secrets, request)
        case HeaderAuth():
            return _check_header(method, secrets, request)
        case StandardWebhooksAuth():
            return _check_standard_webhooks(secrets, request)


def _check_basic(method: BasicAuth, secrets: Sequence[bytes], request: ReceivedRequest) -> str | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    given = _decode_base64(encoded.strip()) if scheme.lower() == "basic" else None
    is_valid = any(_equal(given, method.username.encode() + b":" + secret) for secret in secrets)
    return f"basic:{method.username}" if is_valid else None


def _check_header(method: HeaderAuth, secrets: Sequence[bytes], request: ReceivedRequest) -> str | None:
    given = request.headers.get(method.header.lower())
    if given is not None and method.scheme:
        scheme, _, given_key = given.partition(" ")
        given = given_key.strip(" \t") if scheme.lower() == method.scheme.lower() else None
    raw = None if given is None else _raw(given)
    return f"header:{method.header}" if any(_equal(raw, secret) for secret in secrets) else None


def _check_hmac(method: HmacAuth, secrets: Sequence[bytes], request: ReceivedRequest) -> str | None:
    signed = request.body
    if method.timestamp_header:
        timestamp = request.headers.get(method.timestamp_header.lower(), "")
        if not _is_fresh(timestamp, request.received_at):
            return None
        signed = timestamp.encode() + b"." + signed
    given = _read_signature(request.headers.get(method.header.lower(), ""), method)
    digests = [hmac.digest(secret, signed, method.algorithm) for secret in secrets]
    return (
        f"hmac:{method.header}" if any(_equal(signature, digest) for signature in given for digest in digests) else None
    )


def _read_signature(text: str, method: HmacAuth) -> list[bytes]:
    """Return the bytes that the header can mean: in hex, in base64, or both for encoding `any`."""
    text = text.strip()
    if text.lower().startswith(f"{method.algorithm}="):
        text = text[len(method.algorithm) + 1 :]
    readings: list[bytes | None] = []
    if method.encoding in {"any", "hex"}:
        readings.append(_decode_hex(text))
    if method.encoding in {"any", "base64"}:
        readings.append(_decode_base64(text))
    return [reading for reading in readings if reading is not None]


def _check_standard_webhooks(secrets: Sequence[bytes], request: ReceivedRequest) -> str | None:
    message_id = _raw(request.headers.get("webhook-id", ""))
    timestamp = request.headers.get("webhook-timestamp", "")
    if not message_id or not _is_fresh(timestamp, request.received_at):
        return None
    signed = b".".join((message_id, timestamp.encode(), request.body))
    given = [
        _decode_base64(part[3:]) for part in request.headers.get("webhook-signature", "").split() if part[:3] == "v1,"
    ]
    keys = [
        key for secret in secrets if (key := _decode_base64(secret.decode("utf-8", "replace").removeprefix("whsec_")))
    ]
    digests = [hmac.digest(key, signed, hashlib.sha256) for key in keys]
    is_valid = any(_equal(signature, digest) for signature in given for digest in digests)
    return "standard-webhooks" if is_valid else None


def _is_fresh(timestamp: str, now: float) -> bool:
    """Return whether `timestamp` (Unix seconds or milliseconds) is within the tolerance of `now`."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 13):
        return False
    seconds = int(timestamp) / 1000 if len(timestamp) > 11 else int(timestamp)
    return abs(now - seconds) <= TIMESTAMP_TOLERANCE


def _raw(text: str) -> bytes | None:
    """Return the bytes of a header's value; None if it has characters beyond Latin-1."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return None


def _equal(given: bytes | None, expected: bytes) -> bool:
    return hmac.compare_digest(given if given is not None else b"", expected) and given is not None and expected != b""


def _decode_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None


def _decode_hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None
