"""How the relay reaches a service, from its mapping block and secrets: URL, credentials, and a digest of both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from relay.core.mapping_blocks import IemBlock, VirimaBlock
from relay.core.mapping_key import keys_of
from relay.core.references import Text
from relay.core.urls import check_url
from relay.errors import SecretMissingError
from relay.http.credentials import Credentials
from relay.secrets import SecretReader

#: The keys of both blocks that belong to the digest.
_COMMON = frozenset({"url", "username", "password", "ca_file"})


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """A service's URL and the credentials that the relay uses there."""

    url: str
    credentials: Credentials
    #: Changes when anything changes that the service sees: the keys declared with `access`, and the secrets that they refer to.
    digest: str


def read_access(block: IemBlock | VirimaBlock, reader: SecretReader) -> ServiceAccess:
    """Return URL and credentials of the service in an `iem` or `virima` block.

    Raises:
        SecretMissingError: a secret of the block cannot be read, or the URL must not receive credentials.
    """
    url = reader.read(block.url)
    if fault := check_url(url):
        raise SecretMissingError(f"{'iem' if isinstance(block, IemBlock) else 'virima'}.url: {fault}")
    credentials = Credentials(reader.read(block.username), reader.read(block.password))
    keys = [field.name for field, key in keys_of(type(block)) if key.access and field.name not in _COMMON]
    own = (_read(getattr(block, name), reader) for name in keys)
    parts = (url, *own, credentials.username, credentials.password, block.ca_file or "")
    return ServiceAccess(url, credentials, hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12])


def _read(value: Text | str | None, reader: SecretReader) -> str:
    return value or "" if isinstance(value, str | None) else reader.read(value)
