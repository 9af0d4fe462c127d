"""Composes the operations, for the operator API and for the commands."""

from __future__ import annotations

from relay.clock import now_ms
from relay.errors import ConfigurationError
from relay.foundation import connect, lay_foundation, new_id, open_catalogue, queues
from relay.mapping_files.catalogue import Catalogue
from relay.operations.audit_log import AuditLog
from relay.operations.delivery_admin import DeliveryAdmin
from relay.operations.integration_admin import IntegrationAdmin
from relay.operations.operations import Operations
from relay.operations.rejection_admin import RejectionAdmin
from relay.operations.replayer import Replayer
from relay.settings import Settings
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.dead_letter_store import DeadLetterStore
from relay.store.delivery_reader import DeliveryReader
from relay.store.heartbeats import Heartbeats
from relay.store.registry import Registry
from relay.store.rejection_store import RejectionStore
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail


def build_operations(settings: Settings, connection: Connection, catalogue: Catalogue) -> Operations:
    """Return the operations on the data in `connection` and the mapping files in `catalogue`."""
    trail = Trail(connection)
    integrations = IntegrationAdmin(
        catalogue, Registry(connection), Circuit(connection), Heartbeats(connection), trail, now_ms
    )
    replayer = Replayer(queues(settings, connection), now_ms=now_ms, new_id=new_id)
    return Operations(
        integrations,
        DeliveryAdmin(integrations, DeliveryReader(connection), DeadLetterStore(connection), replayer, now_ms),
        RejectionAdmin(integrations, RejectionStore(connection), replayer, now_ms),
        AuditLog(integrations, trail, SealChain(connection)),
    )


def open_operations() -> Operations:
    """Return the operations of the relay that the settings in the environment describe.

    Raises:
        ConfigurationError: a setting is wrong, or the mappings folder cannot be read.
    """
    foundation = lay_foundation()
    connection = connect(foundation.settings)
    catalogue, _ = open_catalogue(foundation, connection)
    if catalogue.fault:
        raise ConfigurationError([catalogue.fault])
    return build_operations(foundation.settings, connection, catalogue)
