"""Who may post to an integration: the address first, then any one of the ways that its mapping lists, on the raw bytes."""

from __future__ import annotations

import logging

from relay.core.integration import Authentication, BasicAuth, HeaderAuth, HmacAuth, Integration, Secret
from relay.core.signature import SignedRequest, authenticate
from relay.errors import SecretMissingError
from relay.logs import log
from relay.secrets import SecretReader
from relay.web.addresses import read_address
from relay.web.responses import ProblemError

_LOG = logging.getLogger("relay.web")


class Gatekeeper:
    """Checks senders. It reads the webhook secrets, and no others."""

    def __init__(self, secrets: SecretReader) -> None:
        self._secrets = secrets

    def check_address(self, integration: Integration, address: str | None) -> None:
        """Refuse (403) an address that the mapping does not allow."""
        if not integration.allow_from:
            return
        sender = read_address(address)
        if sender is None or not any(sender in network for network in integration.allow_from):
            detail = f"the address {address} is not in `allow_from` of the integration {integration.name}"
            raise ProblemError(403, detail, kind="address-refused")

    def recognise(self, integration: Integration, request: SignedRequest) -> str:
        """Return whom one of the integration's ways recognises; refuse (401) anybody else.

        Without a readable secret for any of them nobody can be recognised: 503.
        """
        if not integration.authentications:
            return "anybody"
        missing: list[str] = []
        for method in integration.authentications:
            try:
                secrets = [self._secrets.read(secret).encode() for secret in _secrets_of(method)]
            except SecretMissingError as error:
                missing.append(str(error))
                continue
            if sender := authenticate(method, secrets, request):
                return sender
        if len(missing) == len(integration.authentications):
            log(
                _LOG,
                logging.ERROR,
                "no webhook secret can be read",
                integration=integration.name,
                faults=missing,
            )
            detail = (
                f"the relay cannot read any webhook secret of {integration.name}: its operators see which in the log"
            )
            raise ProblemError(503, detail, kind="mapping-unusable", headers={"Retry-After": "60"})
        ways = ", ".join(dict.fromkeys(map(_name_of, integration.authentications)))
        raise ProblemError(
            401,
            f"expected the credentials of the integration {integration.name} ({ways})",
            kind="unauthenticated",
            headers={"WWW-Authenticate": _challenge(integration)},
        )


def _secrets_of(method: Authentication) -> tuple[Secret, ...]:
    match method:
        case BasicAuth(password=secret) | HeaderAuth(value=secret):
            return (secret,)
        case _:
            return method.secrets


def _name_of(method: Authentication) -> str:
    match method:
        case BasicAuth():
            return "basic"
        case HmacAuth(header=header):
            return f"a signature in {header}"
        case HeaderAuth(header=header, scheme=scheme):
            return f"{scheme} in {header}" if scheme else f"a key in {header}"
        case _:
            return "Standard Webhooks"


def _challenge(integration: Integration) -> str:
    """Return a challenge that RFC 9110 section 11.6.1 asks for in a 401."""
    if any(isinstance(method, BasicAuth) for method in integration.authentications):
        return f'Basic realm="{integration.name}", charset="UTF-8"'
    if any(isinstance(method, HeaderAuth) and method.scheme for method in integration.authentications):
        return f'Bearer realm="{integration.name}"'
    return f'Signature realm="{integration.name}"'
