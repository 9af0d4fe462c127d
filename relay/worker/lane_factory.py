"""Opens the lanes of integrations: one for deliveries, one for resolver lookups, one for publishing."""

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
from relay.iem.reports import Subject
from relay.iem.service import CALLS_PER_TURN
from relay.logs import log
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.lookup_queue import LookupQueue
from relay.store.publication_store import PublicationStore
from relay.worker.lanes import Lane
from relay.worker.lookups import LookupLane
from relay.worker.publications import PublishingLane

_LOG = logging.getLogger("relay.worker")
#: Stands for the configuration of an integration whose secrets cannot be read.
_UNREADABLE = "unreadable"
_L = TypeVar("_L")


class LaneFactory:
    """Opens lanes for this process. A fault of one integration never keeps the others from their lanes."""

    def __init__(self, foundation: Foundation, connection: Connection) -> None:
        self._foundation = foundation
        self._connection = connection

    def deliveries(self, integrations: Iterable[Integration]) -> list[Lane]:
        """Return a lane for each enabled integration; one without its secrets logs that and parks its deliveries."""
        return [self._delivery_lane(integration) for integration in integrations if integration.enabled]

    def lookups(self, integrations: Iterable[Integration]) -> list[LookupLane]:
        """Return a lane for each enabled integration with a `virima` block whose secrets can be read."""
        return _open_each((one for one in integrations if one.enabled and one.virima), self._lookup_lane)

    def publications(self, integrations: Iterable[Integration]) -> list[PublishingLane]:
        """Return a lane for each enabled integration with a `publish` block whose secrets can be read."""
        return _open_each((one for one in integrations if one.enabled and one.publish), self._publishing_lane)

    def _delivery_lane(self, integration: Integration) -> Lane:
        queue = DeliveryQueue(self._connection, integration.name, retention=self._foundation.settings.retention)

        def open_lane() -> Lane:
            try:
                service, config = iem_service(integration, self._foundation, self._connection)
            except SecretMissingError as error:
                log(_LOG, logging.ERROR, "integration cannot deliver", integration=integration.name, fault=str(error))
                return Lane(integration, queue, None, _UNREADABLE, str(error))
            return Lane(integration, queue, service, config)

        def parked_lane() -> Lane:
            return Lane(integration, queue, None, _UNREADABLE, "a bug in the relay, see the log")

        return contain(open_lane, parked_lane, what=f"setting up {integration.name}: its deliveries are parked")

    def _lookup_lane(self, integration: Integration) -> LookupLane | None:
        virima = integration.virima
        assert virima is not None
        try:
            lookup, config = virima_lookup(integration, self._foundation)
        except SecretMissingError as error:
            message = "integration cannot look resolvers up"
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
            subject=Subject(integration.name, iem.customer_id, integration.source, socket.gethostname()),
            publish=integration.publish,
            service=service,
            store=PublicationStore(self._connection, integration.name),
            config=config,
            longest_turn=CALLS_PER_TURN * iem.timeout,
        )


def _open_each(integrations: Iterable[Integration], open_lane: Callable[[Integration], _L | None]) -> list[_L]:
    """Return the lanes of those integrations that get one."""

    def opened(integration: Integration) -> _L | None:
        return contain(partial(open_lane, integration), lambda: None, what=f"setting up {integration.name}")

    return [lane for integration in integrations if (lane := opened(integration)) is not None]
