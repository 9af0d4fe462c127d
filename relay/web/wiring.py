"""Builds a web process: its connections to Redis, intake, operations, and the monitor that the probes read."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from relay.clock import now_ms
from relay.foundation import Foundation, connect, new_id, open_catalogue, queues
from relay.intake.accept import Intake
from relay.intake.drainer import Drainer
from relay.intake.journal import Journal
from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.mapping_audit import MappingAudit
from relay.operations.operations import Operations
from relay.operations.wiring import build_operations
from relay.store.connection import Connection
from relay.store.delivery_reader import DeliveryReader
from relay.store.heartbeats import Heartbeats
from relay.store.rate_limiter import RateLimiter
from relay.store.trail import Trail
from relay.web.auth import Gatekeeper
from relay.web.connections import connect_probes, connect_rates, connect_webhooks
from relay.web.refusals import Refusals
from relay.web.store_monitor import StoreMonitor, make_store_monitor
from relay.web.webhooks import WebhookParts


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the endpoints of a web process use."""

    catalogue: Catalogue
    webhooks: WebhookParts
    operations: Operations
    monitor: StoreMonitor


def build_web(foundation: Foundation) -> WebParts:
    """Build the parts of a web process and start its background threads. Works without Redis and without mapping files."""
    settings = foundation.settings
    connection = connect_webhooks(settings)
    catalogue = _follow_mappings(foundation, connection)
    threading.Thread(target=connection.warm_up, args=("accept",), name="warm-up", daemon=True).start()
    journal = Journal(settings.journal, max_bytes=settings.journal_max) if settings.journal else None
    if journal:
        # The drainer's own connection has long timeouts: no sender waits for it.
        Drainer(journal, queues(settings, connect(settings)), now_ms).start()
    webhooks = WebhookParts(
        catalogue,
        Gatekeeper(foundation.secrets),
        Intake(queues(settings, connection), now_ms=now_ms, new_id=new_id, journal=journal),
        DeliveryReader(connection),
        settings.max_body,
        journal,
        RateLimiter(connect_rates(settings)),
        Refusals(),
    )
    # Operators have a connection of their own: a slow query must not make intake conclude that Redis is down.
    operations = build_operations(settings, connect(settings), catalogue)
    monitor = make_store_monitor(
        Heartbeats(connect_probes(settings)), catalogue, journal, lambda: connection.is_cooling_down
    )
    return WebParts(catalogue, webhooks, operations, monitor)


def _follow_mappings(foundation: Foundation, connection: Connection) -> Catalogue:
    """Return the integrations. A thread keeps them current and records changes in the audit trail."""
    catalogue, reloader = open_catalogue(foundation, connection, "web")
    audit = MappingAudit(Trail(connection), catalogue, now_ms)
    reloader.start(
        threading.Event(),
        within=foundation.settings.reload_interval,
        polled=lambda changed: audit.write() if changed else None,
    )
    return catalogue
