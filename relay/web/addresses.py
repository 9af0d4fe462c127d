"""Senders' addresses, as sockets and proxies tell them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

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
