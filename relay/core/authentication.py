"""The ways in which a sender can authenticate: the `auth` list of a mapping file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from relay.core.mapping_key import Choice, Kind, key
from relay.core.references import Secret

HmacAlgorithm = Literal["sha1", "sha256", "sha512"]
HmacEncoding = Literal["any", "hex", "base64"]


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """User name and password (RFC 7617)."""

    username: str = key(Kind.TEXT, "the sender's user name", example="servicenow")
    password: Secret = key(Kind.SECRET, "the sender's password")


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacAuth:
    """A signature over the raw body, or over `<timestamp>.<body>`."""

    header: str = key(
        Kind.HTTP_NAME,
        "the header with the signature. A prefix such as `sha256=` is accepted",
        example="X-Relay-Signature",
    )
    algorithm: HmacAlgorithm = key(Choice(get_args(HmacAlgorithm)), "the hash function of the HMAC", default="sha256")
    encoding: HmacEncoding = key(Choice(get_args(HmacEncoding)), "the encoding of the signature", default="any")
    secrets: tuple[Secret, ...] = key(Kind.SECRETS, "the key; a list of keys during a key change", name="secret")
    timestamp_header: str | None = key(
        Kind.HTTP_NAME,
        "the header with the time (Unix seconds). The signed text is then `<timestamp>.<body>`, and a time more than "
        "5 minutes off is refused",
        default=None,
        example="X-Relay-Timestamp",
    )


@dataclass(frozen=True, slots=True)
class HeaderAuth:
    """An API key in a header."""

    header: str = key(
        Kind.HTTP_NAME,
        "the header with the key. Its name must not contain an underscore: the web server drops such headers",
        example="X-API-Key",
    )
    value: Secret = key(Kind.SECRET, "the key")
    scheme: str | None = key(
        Kind.HTTP_NAME,
        "the word before the key: `header: Authorization` with `scheme: Bearer`",
        default=None,
        example="Bearer",
    )


@dataclass(frozen=True, slots=True)
class StandardWebhooksAuth:
    """Headers of Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature`."""

    secrets: tuple[Secret, ...] = key(
        Kind.SECRETS, "the secret (`whsec_…`); a list of secrets during a key change", name="secret"
    )


Authentication = BasicAuth | HmacAuth | HeaderAuth | StandardWebhooksAuth

#: The methods by their `type` in a mapping file.
AUTHENTICATION_TYPES: Mapping[str, type[Authentication]] = {
    "basic": BasicAuth,
    "hmac": HmacAuth,
    "header": HeaderAuth,
    "standard-webhooks": StandardWebhooksAuth,
}


def authentication_meaning(method: type[Authentication]) -> str:
    """Return a short description of a method, from its docstring."""
    text = (method.__doc__ or "").strip().rstrip(".")
    return text[:1].lower() + text[1:]
