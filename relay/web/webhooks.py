"""`POST /webhooks/<integration>`: from the request to the answer, top to bottom. And the sender's question after a delivery."""

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
from relay.core.signature import SignedRequest
from relay.errors import BacklogFullError, JournalError, PayloadError, StoreUnavailableError, TooManyRecordsError
from relay.intake.accept import Intake, Receipt, Sender
from relay.intake.journal import Journal
from relay.mapping_files.catalogue import Catalogue
from relay.store.delivery_reader import DeliveryReader
from relay.store.rate_limiter import RateLimiter
from relay.web.auth import Gatekeeper
from relay.web.body import receive_body
from relay.web.refusals import Refusals, too_many_refusals
from relay.web.responses import ProblemError, reply

_STATUSES = {"queued": 202, "duplicate": 200, "superseded": 200, "ignored": 200}
_RETRY_SOON = {"Retry-After": "5"}
_NOT_JSON = re.compile(
    r"(image|audio|video|font|multipart)/.*|text/(?!plain$|json$|x-json$).*|.*\+xml|"
    r"application/(xml|x-www-form-urlencoded|pdf|zip|gzip|soap|yaml|x-yaml|javascript)"
)
#: A larger body is cut off with its connection (bytes).
_MOST_DRAINED = 8 << 20
_IDEMPOTENCY_HEADERS = ("Idempotency-Key", "webhook-id")


@dataclass(frozen=True, slots=True)
class WebhookParts:
    """What the webhook endpoint needs."""

    catalogue: Catalogue
    gatekeeper: Gatekeeper
    intake: Intake
    deliveries: DeliveryReader
    max_body: int
    journal: Journal | None
    rate_limiter: RateLimiter
    refusals: Refusals


def make_webhooks(parts: WebhookParts) -> Blueprint:
    """Return the endpoint."""
    blueprint = Blueprint("webhooks", __name__)

    @blueprint.post("/webhooks/<name>", strict_slashes=False)
    def receive(name: str) -> Response:
        received_at = now_ms()
        integration = _find(parts.catalogue, name)
        g.integration = name
        parts.gatekeeper.check_address(integration, request.remote_addr)
        body = _read_body(parts.max_body)
        sender = _recognise(parts, integration, body, received_at)
        _check_rate(parts.rate_limiter, integration, received_at)
        _check_type()
        return _answer(name, _accept(parts.intake, integration, body, sender, received_at))

    @blueprint.get("/webhooks/<name>/deliveries/<delivery_id>", strict_slashes=False)
    def ask(name: str, delivery_id: str) -> Response:
        integration = _find(parts.catalogue, name)
        g.integration = name
        parts.gatekeeper.check_address(integration, request.remote_addr)
        _recognise(parts, integration, b"", now_ms())
        try:
            status = _status_of(parts, name, delivery_id) if is_id(delivery_id) else None
        except StoreUnavailableError as error:
            g.fault = str(error)
            detail = "the delivery cannot be looked up now: ask again"
            raise ProblemError(503, detail, kind="store-unavailable", headers=_RETRY_SOON) from None
        if status is None:
            raise ProblemError(404, f"the integration {name} has no delivery {delivery_id[:64]}", kind="not-found")
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
        raise ProblemError(503, str(error), kind="backlog-full", headers={"Retry-After": "60"}) from None
    except StoreUnavailableError as error:
        g.fault = str(error)
        detail = "the update is not known to be stored: send it again"
        raise ProblemError(503, detail, kind="store-unavailable", headers=_RETRY_SOON) from None


def _status_of(parts: WebhookParts, name: str, delivery_id: str) -> str | None:
    with suppress(JournalError):  # what Redis knows it tells without the journal
        if parts.journal and parts.journal.has(name, delivery_id):
            return "journaled"
    return parts.deliveries.status_of(name, delivery_id)


def _find(catalogue: Catalogue, name: str) -> Integration:
    file = catalogue.find(name)
    if file is None and catalogue.fault:
        detail = f"which integrations there are is not known: {catalogue.fault}"
        raise ProblemError(503, detail, kind="mapping-unusable", headers={"Retry-After": "60"})
    if file is None:
        raise ProblemError(404, f"there is no integration {name[:64]}", kind="not-found")
    if file.integration is None:
        detail = f"the mapping file of {name} has faults: `relay mappings check` on the relay's machine tells which"
        raise ProblemError(503, detail, kind="mapping-unusable", headers={"Retry-After": "60"})
    if not file.integration.enabled:
        raise ProblemError(404, f"the integration {name} is disabled", kind="not-found")
    return file.integration


def _read_body(most: int) -> bytes:
    length = request.content_length or 0
    if length > most:
        _drain(length)
        raise _too_large(most)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProblemError(415, "a Content-Encoding is not accepted: send the body as it is")
    body = receive_body()
    if len(body) > most:
        raise _too_large(most)
    return body


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, f"the body is larger than {most} bytes: send fewer records at once")


def _drain(length: int) -> None:
    """Read a body that is refused unread, so that the next request on the connection is not taken for its rest."""
    stream, left = request.environ["wsgi.input"], min(length, _MOST_DRAINED)
    while left > 0 and (chunk := stream.read(min(left, 1 << 16))):
        left -= len(chunk)


def _recognise(parts: WebhookParts, integration: Integration, body: bytes, received_at: int) -> Sender:
    headers = {name.lower(): value for name, value in request.headers}
    try:
        name = parts.gatekeeper.recognise(integration, SignedRequest(headers, body, received_at / 1000))
    except ProblemError as error:
        raise too_many_refusals(parts.refusals, error) or error from None
    g.is_known = True
    return Sender(f"{name}@{request.remote_addr}", read_idempotency_key())


def _check_rate(rate_limiter: RateLimiter, integration: Integration, now: int) -> None:
    """Refuse (429) what comes faster than the mapping allows. With Redis away nobody counts: the journal has its own limit."""
    if integration.rate_limit is None:
        return
    with suppress(StoreUnavailableError):
        if wait := rate_limiter.take(integration.name, integration.rate_limit, now=now):
            detail = f"more than {integration.rate_limit} webhooks a second: send it again later"
            raise ProblemError(429, detail, kind="rate-limited", headers={"Retry-After": str(math.ceil(wait))})


def read_idempotency_key() -> str | None:
    """Return the key that makes a repeat of this request known where its payload cannot, or None."""
    return next((value for header in _IDEMPOTENCY_HEADERS if (value := request.headers.get(header))), None)


def _check_type() -> None:
    if _NOT_JSON.fullmatch(request.mimetype):
        raise ProblemError(415, f"{request.mimetype[:64]} is not JSON: send application/json")


def _answer(name: str, receipts: list[Receipt]) -> Response:
    for receipt in receipts:
        metrics.WEBHOOKS.labels(name, receipt.status).inc()
    g.results = [receipt.status for receipt in receipts]
    journaled = next((receipt for receipt in receipts if receipt.status == "journaled"), None)
    if journaled:
        g.delivery_id = journaled.id
        return reply({"status": "journaled", "journal_id": journaled.id}, 202)
    if len(receipts) > 1:
        return reply({"status": "batch", "results": [_shown(receipt) for receipt in receipts]}, 207)
    receipt = receipts[0]
    g.delivery_id = receipt.id or None
    if receipt.status == "rejected":
        raise ProblemError(
            422,
            f"{receipt.errors[0].field}: {receipt.errors[0].problem}",
            kind="unusable-payload",
            errors=[error.as_dict() for error in receipt.errors],
            rejection_id=receipt.id,
        )
    return reply(_shown(receipt), _STATUSES[receipt.status])


def _shown(receipt: Receipt) -> dict[str, object]:
    match receipt.status:
        case "ignored":
            return {"status": "ignored", "reason": receipt.reason}
        case "rejected":
            errors = [error.as_dict() for error in receipt.errors]
            return {"status": "rejected", "rejection_id": receipt.id, "errors": errors}
        case _:
            return {"status": receipt.status, "delivery_id": receipt.id}
