"""The only place that wires parts together: settings, clock, ids, Redis, sessions."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from relay.absences import Absences
from relay.access import Access, read_access
from relay.clock import Clock, now_ms
from relay.core.document import Fault
from relay.core.ids import make_id
from relay.core.integration import Integration
from relay.core.mapping_file import NAME
from relay.core.redact import Redactor
from relay.core.seal import SealingKey
from relay.delivery import Deliverer
from relay.drainer import Drainer
from relay.duties import PublishingLane
from relay.errors import ConfigurationError, SecretMissingError
from relay.http.caller import Caller
from relay.http.proxies import proxy_of_environment
from relay.iem.client import IemClient
from relay.iem.reports import Subject
from relay.iem.service import CALLS_PER_TURN, IemService
from relay.iem.token_cache import TokenCache
from relay.inspection import Side, missing_secrets
from relay.intake import Intake
from relay.journal import Journal
from relay.logs import log, set_up_logs
from relay.lookups import CALLS_AT_ONCE, LookupLane, Lookups
from relay.mapping_notes import MappingNotes
from relay.mappings import Catalogue, MappingFile, read_mappings
from relay.operations import Operations
from relay.publishing import Publisher
from relay.reload import Reloader
from relay.replay import Replay
from relay.sealing import Sealer
from relay.secret_reader import SecretReader
from relay.settings import Settings, load_settings, read_environment
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.deliveries import DeliveryReader
from relay.store.last_good import LastGood
from relay.store.letters import Letters
from relay.store.lookups import LookupQueue
from relay.store.publisher import PublisherStore
from relay.store.pulse import Pulse
from relay.store.queue import DeliveryQueue
from relay.store.rate import Rates
from relay.store.registry import Registry
from relay.store.seals import Chain
from relay.store.tokens import TokenStore
from relay.store.trail import Trail
from relay.virima.client import VirimaClient
from relay.virima.lookup import Lookup

#: How long web waits for Redis (seconds): connecting and one answer stay below the 2 s within which senders are told.
_WEB_PATIENCE, _WEB_CONNECT = 0.8, 0.6
#: After it did not answer, those whose turn comes within this time are told so at once.
_WEB_REST = 0.5
#: How long a webhook waits to be counted, where its integration has a rate limit (seconds).
_RATE_PATIENCE = 0.2
#: How long readiness waits for it, within its own second.
_PROBE_PATIENCE, _PROBE_CONNECT = 0.5, 0.3
_LOG = logging.getLogger("relay")
_Lane = TypeVar("_Lane")

#: Integrations whose lookups never wait for one another's.
_MOST_LOOKUP_LANES = 64
#: Integrations of which IEM is told at once.
_MOST_PUBLISHING_AT_ONCE = 64
#: Workers have time.
_WORKER_PATIENCE = 5.0


def new_id(at_ms: int) -> str:
    """Return a fresh delivery id."""
    return make_id(at_ms, secrets.token_bytes(10))


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every process of the relay stands on."""

    settings: Settings
    secrets: SecretReader
    redactor: Redactor
    clock: Clock = field(default_factory=Clock)

    def proxy_to(self, url: str) -> str | None:
        """Return the URL of the proxy that calls of `url` go through, or None; its password is kept out of the log."""
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


def load_catalogue(foundation: Foundation) -> Catalogue:
    """Return the integrations of the mappings folder; a folder that cannot be read is a fault of the catalogue."""
    folder = foundation.settings.mappings
    try:
        return Catalogue(read_mappings(folder), folder=folder)
    except ConfigurationError as error:
        return Catalogue([], str(error), folder)


def open_catalogue(
    foundation: Foundation, connection: Connection, side: Side | None = None
) -> tuple[Catalogue, Reloader]:
    """Return the integrations of the mappings folder, the last good versions of broken files among them; and what keeps them
    current. `side`: which process this is, whose secrets must be there; None: a command, that only looks."""
    folder = foundation.settings.mappings
    catalogue = Catalogue([], folder=folder)

    def missing(file: MappingFile) -> tuple[Fault, ...]:
        return missing_secrets(file, foundation.secrets, side) if side else ()

    reloader = Reloader(catalogue, folder, LastGood(connection), missing=missing, keeps=side is not None)
    reloader.look()
    return catalogue, reloader


def build_mapping_notes(connection: Connection, catalogue: Catalogue) -> MappingNotes:
    """Return what tells the audit trail of mapping files."""
    return MappingNotes(Trail(connection), catalogue, now_ms)


def connect_web(settings: Settings) -> Connection:
    """Return web's connection to Redis: it gives up in time to say so to the sender."""
    return Connection(settings.redis_url, timeout=_WEB_PATIENCE, connect_timeout=_WEB_CONNECT, rest=_WEB_REST)


def connect_worker(settings: Settings) -> Connection:
    """Return a worker's or a command's connection to Redis."""
    return Connection(settings.redis_url, timeout=_WORKER_PATIENCE, connect_timeout=_WORKER_PATIENCE)


def build_absences(settings: Settings, connection: Connection, catalogue: Catalogue) -> Absences:
    """Return what looks after integrations that nobody delivers for."""
    queue_of = build_queues(settings, connection)
    return Absences(catalogue, Registry(connection), Circuit(connection), queue_of)


def build_pulse(settings: Settings) -> Pulse:
    """Return what readiness looks at, on connections that give up early."""
    return Pulse(Connection(settings.redis_url, timeout=_PROBE_PATIENCE, connect_timeout=_PROBE_CONNECT))


def build_rates(settings: Settings) -> Rates:
    """Return what counts webhooks, on a connection that gives up early: what follows must still be told in time."""
    return Rates(Connection(settings.redis_url, timeout=_RATE_PATIENCE, connect_timeout=_RATE_PATIENCE, rest=_WEB_REST))


def build_queues(settings: Settings, connection: Connection) -> Callable[[str], DeliveryQueue]:
    """Return a function that gives the queue of an integration, always the same one."""

    @cache
    def queue_of(integration: str) -> DeliveryQueue:
        retention, max_pending = settings.retention, settings.max_pending
        return DeliveryQueue(connection, integration, retention=retention, max_pending=max_pending)

    return queue_of


def build_intake(settings: Settings, connection: Connection, journal: Journal | None = None) -> Intake:
    """Return the intake."""
    return Intake(build_queues(settings, connection), now_ms=now_ms, new_id=new_id, journal=journal)


def build_journal(settings: Settings) -> Journal | None:
    """Return the intake journal, if there is to be one. A fault of it ends no process: readiness tells of it.

    What can never be one is refused before, at the start (`relay.web.gunicorn_conf`).
    """
    if settings.journal is None:
        return None
    return Journal(settings.journal, most_bytes=settings.journal_max)


def build_drainer(settings: Settings, journal: Journal) -> Drainer:
    """Return what empties the journal, on a connection that is patient: nobody waits for it."""
    return Drainer(journal, build_queues(settings, connect_worker(settings)), now_ms)


def build_operations(settings: Settings, connection: Connection, catalogue: Catalogue) -> Operations:
    """Return what operators see and do."""
    return Operations(
        catalogue=catalogue,
        deliveries=DeliveryReader(connection),
        letters=Letters(connection),
        circuit=Circuit(connection),
        replay=Replay(build_queues(settings, connection), now_ms=now_ms, new_id=new_id),
        pulse=Pulse(connection),
        registry=Registry(connection),
        trail=Trail(connection),
        chain=Chain(connection),
        now_ms=now_ms,
    )


def build_sealer(settings: Settings, catalogue: Catalogue) -> Sealer:
    """Return what seals the audit trails, on a connection of its own."""
    connection = connect_worker(settings)
    registry, key = Registry(connection), SealingKey(settings.audit_key)

    def names() -> list[str]:
        return sorted({*registry.names(), *(file.name for file in catalogue.files() if NAME.fullmatch(file.name))})

    return Sealer(Trail(connection), Chain(connection), key, names, retention=settings.audit_retention, now_ms=now_ms)


def worker_name() -> str:
    """Return a name of this process that no other one has: host, process id and a random part."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class Outbound:
    """An integration's way to IEM as it is configured now."""

    deliverer: Deliverer
    #: Changes whenever the `iem` block or one of its secrets does.
    config: str


def build_outbound(integration: Integration, foundation: Foundation, connection: Connection) -> Outbound:
    """Return the way to an integration's IEM. Raises SecretMissingError as `read_access`."""
    access = read_access(integration.iem, foundation.secrets)
    service = _iem_service(integration, access, foundation, connection)
    return Outbound(Deliverer(integration.iem, service), access.digest)


def build_iem(integration: Integration, foundation: Foundation, connection: Connection) -> IemService:
    """Return an integration's IEM, with the token that all processes share. Raises SecretMissingError as `read_access`."""
    return _iem_service(integration, read_access(integration.iem, foundation.secrets), foundation, connection)


def _iem_service(
    integration: Integration, access: Access, foundation: Foundation, connection: Connection
) -> IemService:
    iem = integration.iem
    foundation.redactor.add(access.account.basic.removeprefix("Basic "))
    proxy = foundation.proxy_to(access.url)
    caller = Caller(access.url, ca_file=iem.ca_file, connections=iem.max_in_flight, proxy=proxy)
    client = IemClient(caller, access.account)
    tokens = TokenCache(
        TokenStore(connection, integration.name),
        client,
        config=access.digest,
        lifetime=foundation.settings.token_lifetime,
        timeout=iem.timeout,
        clock=foundation.clock,
    )
    return IemService(client, tokens, auth=iem.auth, timeout=iem.timeout, clock=foundation.clock)


def build_publisher(foundation: Foundation, integrations: Iterable[Integration], connection: Connection) -> Publisher:
    """Return what tells IEM of the relay itself."""
    pool = ThreadPoolExecutor(_MOST_PUBLISHING_AT_ONCE, thread_name_prefix="publish")
    lanes = open_publishing_lanes(foundation, integrations, connection)
    return Publisher(worker_name(), lanes, pool, foundation.clock)


def open_publishing_lanes(
    foundation: Foundation, integrations: Iterable[Integration], connection: Connection
) -> list[PublishingLane]:
    """Return a lane for each enabled integration with a `publish` block whose secrets can be read."""
    publishing = (one for one in integrations if one.enabled and one.publish)
    return _open_each(publishing, lambda one: _publishing_lane(one, foundation, connection))


def _open_each(integrations: Iterable[Integration], open_one: Callable[[Integration], _Lane | None]) -> list[_Lane]:
    """Return what `open_one` makes of each integration, where it makes something."""
    lanes = []
    for one in integrations:
        try:
            lanes.append(open_one(one))
        except Exception:  # noqa: BLE001 - a bug in one integration's set-up must not keep the others from theirs
            _LOG.exception("a bug in setting up the integration %s", one.name)
    return [lane for lane in lanes if lane is not None]


def _publishing_lane(integration: Integration, foundation: Foundation, connection: Connection) -> PublishingLane | None:
    iem = integration.iem
    assert integration.publish is not None
    try:
        service, config = build_iem(integration, foundation, connection), read_access(iem, foundation.secrets).digest
    except SecretMissingError:
        return None  # told already: nothing can be delivered either
    return PublishingLane(
        subject=Subject(integration.name, iem.customer_id, integration.source, socket.gethostname()),
        publish=integration.publish,
        service=service,
        store=PublisherStore(connection, integration.name),
        config=config,
        longest_turn=CALLS_PER_TURN * iem.timeout,
    )


def build_lookups(foundation: Foundation, integrations: Iterable[Integration], connection: Connection) -> Lookups:
    """Return what looks resolvers up, by a connection of its own; where a secret cannot be read, the lookups wait."""
    # A place for each call that may be under way (threads are made when they are needed): a slow Virima takes nobody else's.
    pool = ThreadPoolExecutor(_MOST_LOOKUP_LANES * CALLS_AT_ONCE, thread_name_prefix="lookup")
    return Lookups(open_lookup_lanes(foundation, integrations, connection), pool, foundation.clock)


def open_lookup_lanes(
    foundation: Foundation, integrations: Iterable[Integration], connection: Connection
) -> list[LookupLane]:
    """Return a lane for each enabled integration with a `virima` block whose secrets can be read."""
    looking_up = (one for one in integrations if one.enabled and one.virima)
    return _open_each(looking_up, lambda one: _lookup_lane(one, foundation, connection))


def _lookup_lane(integration: Integration, foundation: Foundation, connection: Connection) -> LookupLane | None:
    virima = integration.virima
    assert virima is not None
    try:
        lookup, config = build_virima(integration, foundation)
    except SecretMissingError as error:
        log(_LOG, logging.ERROR, "integration cannot look resolvers up", integration=integration.name, fault=str(error))
        return None
    queue = LookupQueue(connection, integration.name, config=config)
    return LookupLane(integration.name, virima.lookup, lookup, queue, virima.cache, virima.timeout)


def build_virima(integration: Integration, foundation: Foundation) -> tuple[Lookup, str]:
    """Return the lookup of an integration, and a digest of its `virima` block and secrets.

    Raises:
        ConfigurationError: it has no `virima` block.
        SecretMissingError: one of the block's secrets cannot be read, or the URL is none to send credentials to.
    """
    virima = integration.virima
    if virima is None:
        where = f"{integration.name}: its mapping file has no virima block"
        raise ConfigurationError([f"{where}: add one with url, username, password and lookup"])
    access = read_access(virima, foundation.secrets)
    foundation.redactor.add(access.account.basic.removeprefix("Basic "))
    client = VirimaClient(access.url, access.account, ca_file=virima.ca_file, proxy=foundation.proxy_to(access.url))
    return Lookup(client, mode=virima.lookup, timeout=virima.timeout, clock=foundation.clock), access.digest
