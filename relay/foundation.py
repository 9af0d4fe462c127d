"""What every process is built on: settings, secrets, logs, connections, mapping files, and access to IEM and Virima.

Each process adds its own parts in its `wiring` module (`web`, `worker`, `operations`); `doctor` uses this module alone.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote, urlsplit

from relay.clock import Clock
from relay.core.ids import make_id
from relay.core.integration import Integration
from relay.core.redact import Redactor
from relay.errors import ConfigurationError
from relay.http.access import ServiceAccess, read_access
from relay.http.caller import Caller
from relay.http.proxies import proxy_of_environment
from relay.iem.calls import IemClient
from relay.iem.service import IemService
from relay.iem.token_cache import TokenCache
from relay.logs import set_up_logs
from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.checker import Side, missing_secrets
from relay.mapping_files.document import Fault
from relay.mapping_files.folder import MappingFile
from relay.mapping_files.reloader import Reloader
from relay.secrets import SecretReader
from relay.settings import Settings, load_settings, read_environment
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.last_good_store import LastGoodMappings
from relay.store.token_store import TokenStore
from relay.virima.login_service import VirimaClient
from relay.virima.lookup import Lookup

#: How long a worker or a command waits for Redis (seconds), connecting and for one answer.
_REDIS_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Foundation:
    """The settings of a process, its reader of secrets, its redactor and its clock."""

    settings: Settings
    secrets: SecretReader
    redactor: Redactor
    clock: Clock = field(default_factory=Clock)

    def proxy_to(self, url: str) -> str | None:
        """Return the URL of the proxy for calls to `url`, or None; the proxy's password is kept out of the log."""
        proxy = proxy_of_environment(url) if self.settings.proxies == "environment" else None
        if proxy and (password := urlsplit(proxy).password):
            self.redactor.add(unquote(password))
        return proxy


def lay_foundation(environ: Mapping[str, str] | None = None) -> Foundation:
    """Read and validate the settings, and set up the logs.

    Raises:
        ConfigurationError: with every wrong setting.
    """
    environ = read_environment() if environ is None else environ
    settings = load_settings(environ)
    redactor = Redactor()
    for secret in (settings.admin_token, settings.audit_key):
        if secret:
            redactor.add(secret)
    set_up_logs(form=settings.log_format, level=settings.log_level, redactor=redactor)
    return Foundation(settings, SecretReader(environ, redactor), redactor)


def open_catalogue(
    foundation: Foundation, connection: Connection, side: Side | None = None
) -> tuple[Catalogue, Reloader]:
    """Return the integrations of the mappings folder, broken files in their last good version, and their reloader.

    `side` is the kind of process, whose secrets must be present; None for a command, which only reads.
    """
    folder = foundation.settings.mappings
    catalogue = Catalogue([], folder=folder)

    def missing(file: MappingFile) -> tuple[Fault, ...]:
        return missing_secrets(file, foundation.secrets, side) if side else ()

    reloader = Reloader(
        catalogue, folder, LastGoodMappings(connection), missing=missing, records_changes=side is not None
    )
    reloader.poll()
    return catalogue, reloader


def connect(settings: Settings) -> Connection:
    """Return the Redis connection of a worker or a command; web uses shorter timeouts."""
    return Connection(settings.redis_url, timeout=_REDIS_TIMEOUT, connect_timeout=_REDIS_TIMEOUT)


def queues(settings: Settings, connection: Connection) -> Callable[[str], DeliveryQueue]:
    """Return a function from an integration's name to its queue, the same object on every call."""

    @cache
    def queue_of(integration: str) -> DeliveryQueue:
        retention, max_pending = settings.retention, settings.max_pending
        return DeliveryQueue(connection, integration, retention=retention, max_pending=max_pending)

    return queue_of


def new_id(at_ms: int) -> str:
    """Return a new delivery id."""
    return make_id(at_ms, secrets.token_bytes(10))


def process_name() -> str:
    """Return a unique name for this process: host, process id and a random part."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def iem_service(integration: Integration, foundation: Foundation, connection: Connection) -> tuple[IemService, str]:
    """Return an integration's client of IEM, with the token that all processes share, and the digest of its block and secrets.

    Raises:
        SecretMissingError: one of the block's secrets cannot be read, or credentials must not be sent to its URL.
    """
    iem = integration.iem
    access = read_access(iem, foundation.secrets)
    caller = Caller(access.url, ca_file=iem.ca_file, connections=iem.max_in_flight, proxy=_prepare(access, foundation))
    client = IemClient(caller, access.credentials)
    tokens = TokenCache(
        TokenStore(connection, integration.name),
        client,
        config=access.digest,
        lifetime=foundation.settings.token_lifetime,
        timeout=iem.timeout,
        clock=foundation.clock,
    )
    service = IemService(client, tokens, auth=iem.auth, timeout=iem.timeout, clock=foundation.clock)
    return service, access.digest


def virima_lookup(integration: Integration, foundation: Foundation) -> tuple[Lookup, str]:
    """Return an integration's resolver lookup, and the digest of its `virima` block and secrets.

    Raises:
        ConfigurationError: the mapping file has no `virima` block.
        SecretMissingError: one of the block's secrets cannot be read, or credentials must not be sent to its URL.
    """
    virima = integration.virima
    if virima is None:
        where = f"{integration.name}: its mapping file has no virima block"
        raise ConfigurationError([f"{where}: add one with url, username, password and lookup"])
    access = read_access(virima, foundation.secrets)
    proxy = _prepare(access, foundation)
    client = VirimaClient(access.url, access.credentials, ca_file=virima.ca_file, proxy=proxy)
    return Lookup(client, mode=virima.lookup, timeout=virima.timeout, clock=foundation.clock), access.digest


def _prepare(access: ServiceAccess, foundation: Foundation) -> str | None:
    """Keep the credentials that will be sent out of the log, and return the proxy to the service."""
    foundation.redactor.add(access.credentials.basic.removeprefix("Basic "))
    return foundation.proxy_to(access.url)
