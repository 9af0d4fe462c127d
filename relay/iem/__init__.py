"""The client of HCL IEM's REST API (IEM v1.0 API Guide): tokens, Fetch Ticket Update, and the publish service.

It can be used by itself, without the relay's Redis: `connect` returns an `IemService`. See docs/iem/python-client.md.
"""

from __future__ import annotations

from relay.clock import Clock
from relay.core.urls import check_url
from relay.errors import ConfigurationError
from relay.http.caller import Caller
from relay.http.credentials import Credentials
from relay.iem.calls import IemClient, Target
from relay.iem.publish_bodies import Publication
from relay.iem.service import Attempt, IemService
from relay.iem.token_source import ProcessToken

__all__ = ["Attempt", "IemService", "Publication", "Target", "connect"]


def connect(
    url: str, username: str, password: str, *, ca_file: str | None = None, timeout: float = 10.0, connections: int = 8
) -> IemService:
    """Return IEM at `url` (the organisation's Hosted_API) as the API user `username` uses it; nothing is asked yet.

    `ca_file`: certificates (PEM) of a private CA. `timeout` of one request in seconds. Close it, or use it in a `with`.

    Raises:
        ConfigurationError: the URL is none to send credentials to.
    """
    if fault := check_url(url):
        raise ConfigurationError([fault])
    clock = Clock()
    client = IemClient(Caller(url, ca_file=ca_file, connections=connections), Credentials(username, password))
    tokens = ProcessToken(client, timeout=timeout, clock=clock)
    return IemService(client, tokens, auth="token", timeout=timeout, clock=clock)
