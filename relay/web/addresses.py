"""Sender addresses, as sockets and proxies report them."""

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
    """Return the address in `text`, or None if it is invalid. An IPv4-mapped IPv6 address becomes its IPv4 address."""
    match = _WITH_PORT.fullmatch(text or "")
    try:
        address = ip_address((match[1] or match[2]) if match else text or "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class ForwardedFor:
    """WSGI middleware that takes the sender's address from X-Forwarded-For, as the trusted proxies wrote it.

    The header is split at commas and not parsed further: a sender that made a parser fail would get the proxy's address.
    """

    def __init__(self, application: WSGIApplication, proxies: int) -> None:
        self._application = application
        self._proxies = proxies

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        header = environ.get("HTTP_X_FORWARDED_FOR")
        if header is not None:
            addresses = header.split(",")
            address = addresses[-self._proxies].strip() if len(addresses) >= self._proxies else ""
            environ["REMOTE_ADDR"] = address if read_address(address) else "unknown"
        return self._application(environ, start_response)
