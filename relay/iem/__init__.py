"""A client for HCL IEM's REST API (IEM v1.0 API Guide): tokens, Fetch Ticket Update, and the publish service.

It can be used without the relay and its Redis: `connect` returns an `IemService`. See docs/iem/python-client.md.
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
    """Return a service for IEM at `url` (the organisation's Hosted_API) with an API user's credentials. It sends nothing yet.

    `ca_file`: certificates (PEM) of a private CA. `timeout` of one request in seconds. Close the service, or use it in a `with`.

    Raises:
        ConfigurationError: the URL must not receive credentials.
    """
    if fault := check_url(url):
        raise ConfigurationError([fault])
    clock = Clock()
    client = IemClient(Caller(url, ca_file=ca_file, connections=connections), Credentials(username, password))
    tokens = ProcessToken(client, timeout=timeout, clock=clock)
    return IemService(client, tokens, auth="token", timeout=timeout, clock=clock)
