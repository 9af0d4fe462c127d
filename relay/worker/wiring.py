"""Puts a worker process together: the delivery loop, the lane updater, and the sealer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from relay.core.seals import SealingKey
from relay.foundation import Foundation, connect, process_name, queues
from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.mapping_audit import MappingAudit
from relay.mapping_files.parser import NAME
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats
from relay.store.registry import Registry
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail
from relay.worker.lane_factory import LaneFactory
from relay.worker.lane_updater import LaneUpdater
from relay.worker.lanes import LaneSet
from relay.worker.lookups import CALLS_AT_ONCE, Lookups
from relay.worker.loop import Worker
from relay.worker.maintenance import Maintenance
from relay.worker.orphaned_integrations import OrphanedIntegrations
from relay.worker.publishing import Publisher
from relay.worker.sealing import Sealer

#: Maximum number of integrations whose lookups run at the same time.
_MAX_LOOKUP_LANES = 64
#: Maximum number of integrations that publish to IEM at the same time.
_MAX_PUBLISHING_AT_ONCE = 64


def build_worker(foundation: Foundation, catalogue: Catalogue, connection: Connection) -> Worker:
    """Return the delivery loop that the settings and the mapping files describe."""
    settings, clock, name = foundation.settings, foundation.clock, process_name()
    maintenance = Maintenance(
        name,
        Heartbeats(connection),
        max_dead=settings.max_dead,
        monotonic=clock.monotonic,
        orphaned=OrphanedIntegrations(
            catalogue, Registry(connection), Circuit(connection), queues(settings, connection)
        ),
    )
    lanes = LaneSet(LaneFactory(foundation, connection).deliveries(catalogue.usable()), settings.concurrency)
    executor = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="attempt")
    return Worker(name, lanes, connection, maintenance, executor=executor, clock=clock)


def build_lane_updater(foundation: Foundation, catalogue: Catalogue, worker: Worker) -> LaneUpdater:
    """Return the lane updater of `worker`, with the lookups and the publisher of this process."""
    connection = connect(foundation.settings)
    # One thread for each possible call, started on demand: a slow Virima does not delay other integrations.
    lookup_pool = ThreadPoolExecutor(_MAX_LOOKUP_LANES * CALLS_AT_ONCE, thread_name_prefix="lookup")
    publish_pool = ThreadPoolExecutor(_MAX_PUBLISHING_AT_ONCE, thread_name_prefix="publish")
    return LaneUpdater(
        catalogue,
        foundation.secrets,
        LaneFactory(foundation, connection),
        worker,
        Lookups([], lookup_pool, foundation.clock),
        Publisher(process_name(), [], publish_pool, foundation.clock),
        MappingAudit(Trail(connection), catalogue, foundation.clock.now_ms),
    )


def build_sealer(foundation: Foundation, catalogue: Catalogue) -> Sealer:
    """Return the part that seals the audit trails, on a connection of its own."""
    settings = foundation.settings
    connection = connect(settings)
    registry, key = Registry(connection), SealingKey(settings.audit_key)

    def names() -> list[str]:
        return sorted({*registry.names(), *(file.name for file in catalogue.files() if NAME.fullmatch(file.name))})

    return Sealer(
        Trail(connection),
        SealChain(connection),
        key,
        names,
        retention=settings.audit_retention,
        now_ms=foundation.clock.now_ms,
    )
