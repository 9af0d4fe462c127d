"""Decides who can post to an integration: first by address, then by any one of the methods in its mapping, on the raw bytes."""

from __future__ import annotations

import logging

from relay.core.authentication import Authentication, BasicAuth, HeaderAuth, HmacAuth
from relay.core.integration import Integration
from relay.core.references import Secret
from relay.core.sender_authentication import ReceivedRequest, authenticate
from relay.errors import SecretMissingError
from relay.logs import log
from relay.secrets import SecretReader
from relay.web.addresses import read_address
from relay.web.responses import ProblemError

_LOG = logging.getLogger("relay.web")


class Gatekeeper:
    """Checks senders. It reads the webhook secrets and no others."""

    def __init__(self, secrets: SecretReader) -> None:
        self._secrets = secrets

    def check_address(self, integration: Integration, address: str | None) -> None:
        """Raise ProblemError (403) if the mapping does not allow `address`."""
        if not integration.allow_from:
            return
        sender = read_address(address)
        if sender is None or not any(sender in network for network in integration.allow_from):
            detail = f"Address {address} is not in `allow_from` of the integration {integration.name}"
            raise ProblemError(403, detail, kind="address-refused")

    def authenticate(self, integration: Integration, request: ReceivedRequest) -> str:
        """Return the sender's name.

        Raises:
            ProblemError: 401 if no method accepts the request; 503 if no secret of any method can be read.
        """
        if not integration.authentications:
            return "anybody"
        unreadable: list[str] = []
        for method in integration.authentications:
            try:
                secrets = [self._secrets.read(secret).encode() for secret in _secrets_of(method)]
            except SecretMissingError as error:
                unreadable.append(str(error))
                continue
            if sender := authenticate(method, secrets, request):
                return sender
        if len(unreadable) == len(integration.authentications):
            raise _no_secret(integration, unreadable)
        methods = " or ".join(dict.fromkeys(map(_name_of, integration.authentications)))
        raise ProblemError(
            401,
            f"Wrong or missing credentials for the integration {integration.name}: expected {methods}",
            kind="unauthenticated",
            headers={"WWW-Authenticate": _challenge(integration)},
        )


def _no_secret(integration: Integration, faults: list[str]) -> ProblemError:
    log(_LOG, logging.ERROR, "no webhook secret can be read", integration=integration.name, faults=faults)
    detail = f"No webhook secret of the integration {integration.name} can be read. The relay's log says why"
    return ProblemError(503, detail, kind="mapping-unusable", headers={"Retry-After": "60"})


def _secrets_of(method: Authentication) -> tuple[Secret, ...]:
    match method:
        case BasicAuth(password=secret) | HeaderAuth(value=secret):
            return (secret,)
        case _:
            return method.secrets


def _name_of(method: Authentication) -> str:
    match method:
        case BasicAuth():
            return "basic authentication"
        case HmacAuth(header=header):
            return f"a signature in {header}"
        case HeaderAuth(header=header, scheme=scheme):
            return f"a {scheme} token in {header}" if scheme else f"a key in {header}"
        case _:
            return "a Standard Webhooks signature"


def _challenge(integration: Integration) -> str:
    """Return the challenge that RFC 9110 section 11.6.1 requires in a 401."""
    if any(isinstance(method, BasicAuth) for method in integration.authentications):
        return f'Basic realm="{integration.name}", charset="UTF-8"'
    if any(isinstance(method, HeaderAuth) and method.scheme for method in integration.authentications):
        return f'Bearer realm="{integration.name}"'
    return f'Signature realm="{integration.name}"'
