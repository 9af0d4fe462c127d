"""What senders call."""

from __future__ import annotations

from relay.web.openapi.components import SENDERS
from relay.web.openapi.examples import DELIVERY_ID, NO_STATE, REJECTION_ID, SYS_ID, WEBHOOK
from relay.web.openapi.operation_spec import Body, Operation, ResponseSpec
from relay.web.openapi.schemas.receipt_schemas import (
    BatchSchema,
    DuplicateSchema,
    FoundSchema,
    IgnoredSchema,
    JournaledSchema,
    QueuedSchema,
    SupersededSchema,
)

_QUEUED = {"status": "queued", "delivery_id": DELIVERY_ID}
_IGNORED = {"status": "ignored", "reason": "state 2 of incident is not in the mapping's `states`"}
_SENDER = ("sender-unknown", "too-many-refusals", "address-refused", "no-integration", "mapping-unusable")

WEBHOOKS = (
    Operation(
        method="post",
        path="/webhooks/{name}",
        id="receiveWebhook",
        tag="Webhooks",
        summary="Tell the relay what became of a ticket",
        told=(
            "Takes one record, or a list of up to 500, and answers when it is stored. A 2xx needs no further "
            "action. After 408, 429, any 5xx, or no answer at all send the same body again: a repeat is recognised. All "
            "other answers stay what they are until somebody changes the sender or the mapping. What a record looks "
            "like is up to the mapping file; the presets read what ServiceNow and Service Exchange send. "
            "`/webhooks/{name}/` works too. A missing content type and `text/plain` are taken for JSON."
        ),
        parameters=("Name", "IdempotencyKey", "RequestId"),
        body=Body(
            "A record, or a list of records. A list of one is answered like a single one.",
            {"description": "any JSON; the mapping file tells how it is read"},
            {"record": WEBHOOK, "records": [WEBHOOK, {"sys_id": SYS_ID, "state": "2"}]},
            required=True,
        ),
        answers=(
            ResponseSpec(
                202,
                "Accepted, stored, on its way (`queued`); or accepted while Redis is away, on this machine's disk "
                "(`journaled`)",
                (QueuedSchema, JournaledSchema),
                {"queued": _QUEUED, "journaled": {"status": "journaled", "journal_id": DELIVERY_ID}},
            ),
            ResponseSpec(
                200,
                "Nothing to do: the same update came before (`duplicate`), its state is not relayed (`ignored`), or "
                "a newer update of the ticket came before (`superseded`)",
                (DuplicateSchema, IgnoredSchema, SupersededSchema),
                {
                    "duplicate": {"status": "duplicate", "delivery_id": DELIVERY_ID},
                    "ignored": _IGNORED,
                    "superseded": {"status": "superseded", "delivery_id": DELIVERY_ID},
                },
            ),
            ResponseSpec(
                207,
                "Several records: one result each, in order",
                BatchSchema,
                {
                    "batch": {
                        "status": "batch",
                        "results": [
                            _QUEUED,
                            _IGNORED,
                            {"status": "rejected", "rejection_id": REJECTION_ID, "errors": [NO_STATE]},
                        ],
                    }
                },
            ),
        ),
        problems=(
            "not-json",
            "cut-short",
            "too-large",
            "too-many-records",
            "other-type",
            "unusable-payload",
            "rate-limited",
            "not-stored",
            "backlog-full",
            *_SENDER,
        ),
        security=SENDERS,
    ),
    Operation(
        method="get",
        path="/webhooks/{name}/deliveries/{delivery_id}",
        id="askAfterDelivery",
        tag="Webhooks",
        summary="Ask what became of a delivery",
        told="For the sender, with its own credentials. A signature, where one is asked for, is over an empty body.",
        parameters=("Name", "DeliveryId", "RequestId"),
        answers=(
            ResponseSpec(
                200,
                "How the delivery stands",
                FoundSchema,
                {"delivered": {"status": "found", "delivery_id": DELIVERY_ID, "delivery_status": "delivered"}},
            ),
        ),
        problems=(*_SENDER, "no-delivery", "store-away"),
        security=SENDERS,
    ),
)
