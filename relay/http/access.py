"""How a service is reached as a mapping file and its secrets say now: URL, account, and a digest that changes with either."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from relay.core.integration import IemBlock, VirimaBlock
from relay.core.urls import check_url
from relay.errors import SecretMissingError
from relay.http.account import Account
from relay.secrets import SecretReader


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """A service's URL and the relay's account there."""

    url: str
    account: Account
    #: Changes whenever what the service gets to see does: the block's keys and the secrets that it refers to.
    digest: str


def read_access(block: IemBlock | VirimaBlock, reader: SecretReader) -> ServiceAccess:
    """Return how the service of an `iem` or `virima` block is reached.

    Raises:
        SecretMissingError: one of the block's secrets cannot be read, or the URL is none to send credentials to.
    """
    url = reader.read(block.url)
    if fault := check_url(url):
        raise SecretMissingError(f"{'iem' if isinstance(block, IemBlock) else 'virima'}.url: {fault}")
    account = Account(reader.read(block.username), reader.read(block.password))
    own = (block.customer_id, block.integration_id, block.auth) if isinstance(block, IemBlock) else (block.lookup,)
    parts = (url, *own, account.username, account.password, block.ca_file or "")
    return ServiceAccess(url, account, hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12])
