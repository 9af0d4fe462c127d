"""How a script authenticates its posts: with the profile of the REST message, or with headers that the script sets."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from relay.core.authentication import Authentication, BasicAuth, HeaderAuth, HmacAuth, StandardWebhooksAuth
from relay.core.integration import Integration
from relay.core.references import Env, Secret
from relay.errors import UnfitMappingError

_TYPES: Mapping[type[Authentication], str] = {
    BasicAuth: "basic",
    HmacAuth: "hmac",
    HeaderAuth: "header",
    StandardWebhooksAuth: "standard-webhooks",
}
#: The types of authentication in mapping files.
KINDS = tuple(_TYPES.values())


@dataclass(frozen=True, slots=True)
class Signing:
    """The parts of a script that authenticate its posts."""

    #: Placeholder in the script → the part that replaces it.
    parts: Mapping[str, str] = field(default_factory=dict)
    #: The functions that those parts call.
    functions: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    #: How to get the value of the property `relay.<name>.key`, as lines; empty if there is no such property.
    key: tuple[str, ...] = ()
    #: The value of the field Authentication of the REST message.
    authentication: str = "No authentication"


def choose_authentication(integration: Integration, kind: str | None) -> Authentication | None:
    """Return the first authentication method of this kind, or of any kind; None if the relay accepts unauthenticated posts.

    Raises:
        UnfitMappingError: the mapping has no `auth` of this kind.
    """
    methods = integration.authentications
    if kind is None:
        return methods[0] if methods else None
    found = next((method for method in methods if _TYPES[type(method)] == kind), None)
    if found is None:
        known = ", ".join(dict.fromkeys(_TYPES[type(method)] for method in methods)) or "`auth: none`"
        raise UnfitMappingError(f"the mapping has no `auth` of type {kind}: it has {known}")
    return found


def signing_for(method: Authentication | None) -> Signing:
    """Return the parts of a script for an authentication method. They name the source of a secret; its value is not read."""
    match method:
        case None:
            return Signing()
        case BasicAuth():
            return _basic(method)
        case HmacAuth():
            return _hmac(method)
        case HeaderAuth():
            return _header(method)
        case StandardWebhooksAuth():
            return _standard_webhooks(method)
    assert_never(method)


def _basic(method: BasicAuth) -> Signing:
    profile = (
        f"Basic, with a new profile: user name {method.username}, password: the value of {_source_of(method.password)}"
    )
    return Signing(authentication=profile)


def _hmac(method: HmacAuth) -> Signing:
    parts = {"sign": "sign_hmac"}
    settings = {"signature_header": method.header, "algorithm": f"Hmac{method.algorithm.upper()}"}
    functions = ["mac"]
    if method.timestamp_header:
        parts["timestamp"] = "timestamp"
        settings["timestamp_header"] = method.timestamp_header
        functions.append("unix_seconds")
    if method.encoding == "hex":
        parts["encoding"] = "encoding_hex"
        functions.append("to_hex")
    secret = method.secrets[0]
    key = (
        f"the value of {_source_of(secret)}, encoded in base64:",
        f"printf %s {_shell_word(secret)} | base64 | tr -d '\\n'",
    )
    return Signing(parts, tuple(functions), settings, key)


def _header(method: HeaderAuth) -> Signing:
    prefix = f"{method.scheme} " if method.scheme else ""
    settings = {"key_header": method.header, "key_prefix": prefix}
    return Signing({"sign": "sign_header"}, (), settings, (f"the value of {_source_of(method.value)}",))


def _standard_webhooks(method: StandardWebhooksAuth) -> Signing:
    key = (f"the value of {_source_of(method.secrets[0])}, with or without the prefix whsec_",)
    settings = {"algorithm": "HmacSHA256"}
    return Signing({"sign": "sign_standard_webhooks"}, ("mac", "unix_seconds"), settings, key)


def _source_of(secret: Secret) -> str:
    return f"{{env: {secret.name}}}" if isinstance(secret, Env) else f"{{file: {secret.path}}}"


def _shell_word(secret: Secret) -> str:
    return f'"${secret.name}"' if isinstance(secret, Env) else f'"$(cat {shlex.quote(secret.path)})"'
