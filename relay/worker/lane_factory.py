"""Opens the lanes of integrations: for deliveries, for resolver lookups, and for publishing."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from relay.clock import contain
from relay.core.integration import Integration
from relay.errors import SecretMissingError
from relay.foundation import Foundation, iem_service, virima_lookup
from relay.iem.reports import ReportSubject
from relay.iem.service import CALLS_PER_ATTEMPT
from relay.logs import log
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.lookup_queue import LookupQueue
from relay.store.publication_store import PublicationStore
from relay.worker.lanes import Lane
from relay.worker.lookups import LookupLane
from relay.worker.publication_plan import PublishingLane

_LOG = logging.getLogger("relay.worker")
#: The configuration digest of an integration whose secrets cannot be read.
_UNREADABLE = "unreadable"
_L = TypeVar("_L")


class LaneFactory:
    """Opens lanes for this process. A fault of one integration does not affect the lanes of the others."""

    def __init__(self, foundation: Foundation, connection: Connection) -> None:
        self._foundation = foundation
        self._connection = connection

    def deliveries(self, integrations: Iterable[Integration]) -> list[Lane]:
        """Return a lane for each enabled integration. Without its secrets, the lane parks the integration's deliveries."""
        return [self._delivery_lane(integration) for integration in integrations if integration.enabled]

    def lookups(self, integrations: Iterable[Integration]) -> list[LookupLane]:
        """Return a lane for each enabled integration with a `virima` block and readable secrets."""
        wanted = (integration for integration in integrations if integration.enabled and integration.virima)
        return _open_each(wanted, self._lookup_lane)

    def publications(self, integrations: Iterable[Integration]) -> list[PublishingLane]:
        """Return a lane for each enabled integration with a `publish` block and readable secrets."""
        wanted = (integration for integration in integrations if integration.enabled and integration.publish)
        return _open_each(wanted, self._publishing_lane)

    def _delivery_lane(self, integration: Integration) -> Lane:
        queue = DeliveryQueue(self._connection, integration.name, retention=self._foundation.settings.retention)

        def open_lane() -> Lane:
            try:
                service, config = iem_service(integration, self._foundation, self._connection)
            except SecretMissingError as error:
                log(_LOG, logging.ERROR, "integration cannot deliver", integration=integration.name, fault=str(error))
                return Lane(integration, queue, None, _UNREADABLE, str(error))
            return Lane(integration, queue, service, config)

        def parking_lane() -> Lane:
            return Lane(integration, queue, None, _UNREADABLE, "a bug in the relay, see its log")

        return contain(
            open_lane, parking_lane, what=f"opening the lane of {integration.name}: its deliveries are parked"
        )

    def _lookup_lane(self, integration: Integration) -> LookupLane | None:
        virima = integration.virima
        assert virima is not None
        try:
            lookup, config = virima_lookup(integration, self._foundation)
        except SecretMissingError as error:
            message = "integration cannot look up resolvers"
            log(_LOG, logging.ERROR, message, integration=integration.name, fault=str(error))
            return None
        queue = LookupQueue(self._connection, integration.name, config=config)
        return LookupLane(integration.name, virima.lookup, lookup, queue, virima.cache, virima.timeout)

    def _publishing_lane(self, integration: Integration) -> PublishingLane | None:
        iem = integration.iem
        assert integration.publish is not None
        try:
            service, config = iem_service(integration, self._foundation, self._connection)
        except SecretMissingError:
            return None  # logged for the delivery lane
        return PublishingLane(
            subject=ReportSubject(integration.name, iem.customer_id, integration.source, socket.gethostname()),
            publish=integration.publish,
            service=service,
            store=PublicationStore(self._connection, integration.name),
            config=config,
            longest_turn=CALLS_PER_ATTEMPT * iem.timeout,
        )


def _open_each(integrations: Iterable[Integration], open_lane: Callable[[Integration], _L | None]) -> list[_L]:
    """Return the lanes of the integrations that have one."""

    def open_or_log(integration: Integration) -> _L | None:
        return contain(partial(open_lane, integration), lambda: None, what=f"opening a lane of {integration.name}")

    return [lane for integration in integrations if (lane := open_or_log(integration)) is not None]
