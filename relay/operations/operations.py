"""The operations on integrations, deliveries, rejections and the audit trail, for the API, the console and the commands."""

from __future__ import annotations

from dataclasses import dataclass

from relay.operations.audit_log import AuditLog
from relay.operations.delivery_admin import DeliveryAdmin
from relay.operations.integration_admin import IntegrationAdmin
from relay.operations.rejection_admin import RejectionAdmin


@dataclass(frozen=True, slots=True)
class Operations:
    """All operations of one relay.

    Their methods raise `StoreUnavailableError` if Redis does not answer, and `NotFoundError` if no integration,
    delivery or rejection has the given name or id.
    """

    integrations: IntegrationAdmin
    deliveries: DeliveryAdmin
    rejections: RejectionAdmin
    audit: AuditLog
