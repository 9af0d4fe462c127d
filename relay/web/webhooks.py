"""`POST /webhooks/<integration>`, from the request to the answer, and the sender's request for a delivery's status."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass

from flask import Blueprint, Response, g, request

from relay import metrics
from relay.clock import now_ms
from relay.core.ids import is_id
from relay.core.integration import Integration
from relay.core.payload import parse_body
from relay.core.sender_authentication import ReceivedRequest
from relay.errors import BacklogFullError, JournalError, PayloadError, StoreUnavailableError, TooManyRecordsError
from relay.intake.accept import Intake, Receipt, Sender
from relay.intake.journal import Journal
from relay.mapping_files.catalogue import Catalogue
from relay.store.delivery_reader import DeliveryReader
from relay.store.rate_limiter import RateLimiter
from relay.web.auth import Gatekeeper
from relay.web.body import receive_limited_body
from relay.web.refusals import Refusals, too_many_refusals
from relay.web.responses import ProblemError, reply

_STATUSES = {"queued": 202, "duplicate": 200, "superseded": 200, "ignored": 200}
_RETRY_SOON = {"Retry-After": "5"}
_RETRY_LATER = {"Retry-After": "60"}
_NOT_JSON = re.compile(
    r"(image|audio|video|font|multipart)/.*|text/(?!plain$|json$|x-json$).*|.*\+xml|"
    r"application/(xml|x-www-form-urlencoded|pdf|zip|gzip|soap|yaml|x-yaml|javascript)"
)
_IDEMPOTENCY_HEADERS = ("Idempotency-Key", "webhook-id")


@dataclass(frozen=True, slots=True)
class WebhookParts:
    """What the webhook endpoints use."""

    catalogue: Catalogue
    gatekeeper: Gatekeeper
    intake: Intake
    deliveries: DeliveryReader
    max_body: int
    journal: Journal | None
    rate_limiter: RateLimiter
    refusals: Refusals


def make_webhooks(parts: WebhookParts) -> Blueprint:
    """Return the endpoints for senders."""
    blueprint = Blueprint("webhooks", __name__)

    @blueprint.post("/webhooks/<name>", strict_slashes=False)
    def receive(name: str) -> Response:
        received_at = now_ms()
        integration = _find_integration(parts.catalogue, name)
        g.integration = name
        parts.gatekeeper.check_address(integration, request.remote_addr)
        body = receive_limited_body(parts.max_body)
        sender = _authenticate(parts, integration, body, received_at)
        _check_rate(parts.rate_limiter, integration, received_at)
        _check_content_type()
        return _response_for(name, _accept(parts.intake, integration, body, sender, received_at))

    @blueprint.get("/webhooks/<name>/deliveries/<delivery_id>", strict_slashes=False)
    def show_status(name: str, delivery_id: str) -> Response:
        integration = _find_integration(parts.catalogue, name)
        g.integration = name
        parts.gatekeeper.check_address(integration, request.remote_addr)
        _authenticate(parts, integration, b"", now_ms())
        try:
            status = _status_of(parts, name, delivery_id) if is_id(delivery_id) else None
        except StoreUnavailableError as error:
            g.fault = str(error)
            detail = "The delivery cannot be looked up now. Try again later"
            raise ProblemError(503, detail, kind="store-unavailable", headers=_RETRY_SOON) from None
        if status is None:
            raise ProblemError(404, f"The integration {name} has no delivery {delivery_id[:64]}", kind="not-found")
        return reply({"status": "found", "delivery_id": delivery_id, "delivery_status": status})

    return blueprint


def _accept(intake: Intake, integration: Integration, body: bytes, sender: Sender, received_at: int) -> list[Receipt]:
    try:
        payload = parse_body(body)
    except PayloadError as error:
        raise ProblemError(400, str(error), kind="not-json") from None
    try:
        return intake.accept(integration, payload, sender, received_at)
    except TooManyRecordsError as error:
        raise ProblemError(413, str(error), kind="too-many-records") from None
    except BacklogFullError as error:
        raise ProblemError(503, str(error), kind="backlog-full", headers=_RETRY_LATER) from None
    except StoreUnavailableError as error:
        g.fault = str(error)
        detail = "The update is not confirmed as stored. Send it again"
        raise ProblemError(503, detail, kind="store-unavailable", headers=_RETRY_SOON) from None


def _status_of(parts: WebhookParts, name: str, delivery_id: str) -> str | None:
    with suppress(JournalError):  # Redis can answer even if the journal cannot be read
        if parts.journal and parts.journal.has_entry(name, delivery_id):
            return "journaled"
    return parts.deliveries.status_of(name, delivery_id)


def _find_integration(catalogue: Catalogue, name: str) -> Integration:
    file = catalogue.find(name)
    if file is None and catalogue.fault:
        detail = f"The mapping files cannot be read: {catalogue.fault}"
        raise ProblemError(503, detail, kind="mapping-unusable", headers=_RETRY_LATER)
    if file is None:
        raise ProblemError(404, f"There is no integration {name[:64]}", kind="not-found")
    if file.integration is None:
        detail = f"The mapping file of {name} has faults. `relay mappings check` on the relay's machine lists them"
        raise ProblemError(503, detail, kind="mapping-unusable", headers=_RETRY_LATER)
    if not file.integration.enabled:
        raise ProblemError(404, f"The integration {name} is disabled", kind="not-found")
    return file.integration


def _authenticate(parts: WebhookParts, integration: Integration, body: bytes, received_at: int) -> Sender:
    headers = {name.lower(): value for name, value in request.headers}
    try:
        name = parts.gatekeeper.authenticate(integration, ReceivedRequest(headers, body, received_at / 1000))
    except ProblemError as error:
        raise too_many_refusals(parts.refusals, error) or error from None
    g.is_authenticated = True
    return Sender(f"{name}@{request.remote_addr}", read_idempotency_key())


def _check_rate(rate_limiter: RateLimiter, integration: Integration, now: int) -> None:
    """Raise ProblemError (429) above the mapping's rate limit. Without Redis there is no limit, except the journal's size."""
    if integration.rate_limit is None:
        return
    with suppress(StoreUnavailableError):
        if wait := rate_limiter.take(integration.name, integration.rate_limit, now=now):
            detail = f"Rate limit exceeded: {integration.rate_limit} webhooks per second. Send the webhook again later"
            raise ProblemError(429, detail, kind="rate-limited", headers={"Retry-After": str(math.ceil(wait))})


def read_idempotency_key() -> str | None:
    """Return the header that identifies a repeat of this request if its payload cannot, or None."""
    return next((value for header in _IDEMPOTENCY_HEADERS if (value := request.headers.get(header))), None)


def _check_content_type() -> None:
    if _NOT_JSON.fullmatch(request.mimetype):
        raise ProblemError(415, f"Content type {request.mimetype[:64]} is not JSON. Send application/json")


def _response_for(name: str, receipts: list[Receipt]) -> Response:
    for receipt in receipts:
        metrics.WEBHOOKS.labels(name, receipt.status).inc()
    g.results = [receipt.status for receipt in receipts]
    journaled = next((receipt for receipt in receipts if receipt.status == "journaled"), None)
    if journaled:
        g.delivery_id = journaled.id
        return reply({"status": "journaled", "journal_id": journaled.id}, 202)
    if len(receipts) > 1:
        return reply({"status": "batch", "results": [_result_of(receipt) for receipt in receipts]}, 207)
    receipt = receipts[0]
    g.delivery_id = receipt.id or None
    if receipt.status == "rejected":
        raise ProblemError(
            422,
            f"Field {receipt.errors[0].field}: {receipt.errors[0].problem}",
            kind="unusable-payload",
            errors=[error.as_dict() for error in receipt.errors],
            rejection_id=receipt.id,
        )
    return reply(_result_of(receipt), _STATUSES[receipt.status])


def _result_of(receipt: Receipt) -> dict[str, object]:
    match receipt.status:
        case "ignored":
            return {"status": "ignored", "reason": receipt.reason}
        case "rejected":
            errors = [error.as_dict() for error in receipt.errors]
            return {"status": "rejected", "rejection_id": receipt.id, "errors": errors}
        case _:
            return {"status": receipt.status, "delivery_id": receipt.id}
