"""Senders' addresses, as sockets and proxies tell them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Some proxies add the port in X-Forwarded-For.
_WITH_PORT = re.compile(r"\[([0-9a-fA-F:.%]+)\](?::\d+)?|([0-9.]+):\d+")


def read_address(text: str | None) -> IPv4Address | IPv6Address | None:
    """Return the address in `text`, an IPv4 one where IPv6 only wraps it; None where it is none."""
    match = _WITH_PORT.fullmatch(text or "")
    try:
        found = ip_address((match[1] or match[2]) if match else text or "")
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


class ForwardedFor:
    """Takes the sender's address from what trusted proxies say in X-Forwarded-For (in front of a WSGI application).

    It is split at commas and nothing else: who could make a parser give up would have the address of the proxy.
    """

    def __init__(self, application: WSGIApplication, proxies: int) -> None:
        self._application = application
        self._proxies = proxies

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        told = environ.get("HTTP_X_FORWARDED_FOR")
        if told is not None:
            addresses = told.split(",")
            address = addresses[-self._proxies].strip() if len(addresses) >= self._proxies else ""
            environ["REMOTE_ADDR"] = address if read_address(address) else "unknown"
        return self._application(environ, start_response)
