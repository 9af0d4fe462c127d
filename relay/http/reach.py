"""Whether a service can be reached, step by step, without a request: its name, a connection, TLS."""

from __future__ import annotations

import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

Step = Literal["name", "connection", "tls"]


@dataclass(frozen=True, slots=True)
class Reached:
    """A service that accepts connections."""

    address: str
    #: The version, such as TLSv1.3; None for plain HTTP.
    tls: str | None = None
    #: When its certificate expires (Unix seconds).
    certificate_ends: float | None = None
    #: The proxy (HOST:PORT) that was reached instead of the service.
    proxy: str | None = None


@dataclass(frozen=True, slots=True)
class Unreached:
    """The step that failed, and why."""

    step: Step
    fault: str


def reach(url: str, *, ca_file: str | None, timeout: float, proxy: str | None = None) -> Reached | Unreached:
    """Connect to `url`, or to the `proxy` for it, and close the connection. Connecting and TLS take `timeout` seconds each."""
    host, port = _host_and_port(proxy or url)
    connection = _connect(host, port, timeout)
    if isinstance(connection, Unreached):
        return Unreached(connection.step, f"the proxy: {connection.fault}") if proxy else connection
    with closing(connection):
        address = str(connection.getpeername()[0])
        if proxy:
            return Reached(address, proxy=f"{host}:{port}")
        return _reach_tls(connection, host, address, ca_file) if url.startswith("https:") else Reached(address)


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _connect(host: str, port: int, timeout: float) -> socket.socket | Unreached:
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a valid host name"
        return Unreached("name", f"the name {host} cannot be resolved: {reason}")
    try:
        return socket.create_connection((host, port), timeout)
    except OSError as error:
        return Unreached("connection", f"{host}:{port} accepts no connection: {error.strerror or 'no answer in time'}")


def _reach_tls(connection: socket.socket, host: str, address: str, ca_file: str | None) -> Reached | Unreached:
    try:
        context = ssl.create_default_context(cafile=ca_file or DEFAULT_CA_BUNDLE_PATH)
    except OSError as error:
        return Unreached(
            "tls", f"the certificates in {ca_file} cannot be read: {error.strerror or 'they are not in PEM format'}"
        )
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            ends = (secured.getpeercert() or {}).get("notAfter")
            return Reached(
                address, secured.version(), ssl.cert_time_to_seconds(ends) if isinstance(ends, str) else None
            )
    except ssl.SSLCertVerificationError as error:
        return Unreached("tls", f"the certificate of {host} is not accepted: {error.verify_message.rstrip('.')}")
    except OSError as error:
        return Unreached(
            "tls",
            f"{host} does not speak TLS: {getattr(error, 'reason', None) or error.strerror or 'no answer in time'}",
        )
