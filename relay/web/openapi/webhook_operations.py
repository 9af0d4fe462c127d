"""The calls of senders, in the document."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from relay.store.delivery_reader import STATUSES
from relay.web.openapi.components import SENDERS
from relay.web.openapi.examples import DELIVERY_ID, NO_STATE, REJECTION_ID, SYS_ID, WEBHOOK
from relay.web.openapi.operation_spec import OperationSpec, RequestBodySpec, ResponseSpec
from relay.web.openapi.problem_schemas import AnswerSchema, FieldErrorSchema
from relay.web.openapi.schema_members import OneOfSchemas, list_of, text

_ID = "The delivery's id (26 characters), as in the log, in the audit trail and for operators"


class QueuedSchema(AnswerSchema):
    """The update is accepted and stored, and will be pushed to IEM."""

    status = text("The verdict", choices=("queued",))
    delivery_id = text(_ID)


class JournaledSchema(AnswerSchema):
    """Redis is unavailable: the update is accepted and stored on this machine's disk."""

    status = text("The verdict", choices=("journaled",))
    journal_id = text("The id of the future delivery; for a batch, of its first record")


class DuplicateSchema(AnswerSchema):
    """The same update was accepted before."""

    status = text("The verdict", choices=("duplicate",))
    delivery_id = text("The id of the first delivery")


class SupersededSchema(AnswerSchema):
    """A newer update of the ticket was accepted before this older one arrived."""

    status = text("The verdict", choices=("superseded",))
    delivery_id = text(_ID)


class IgnoredSchema(AnswerSchema):
    """The mapping does not relay this state."""

    status = text("The verdict", choices=("ignored",))
    reason = text("The state and its table")


class RejectedSchema(AnswerSchema):
    """A record of a batch that the mapping cannot use. It is kept."""

    status = text("The verdict", choices=("rejected",))
    rejection_id = text("The rejection. It can be replayed when the mapping has been corrected")
    errors = list_of(FieldErrorSchema, "One entry for each field that cannot be used")


class BatchSchema(AnswerSchema):
    """One result for each record, in order. All records are stored in one step, or none."""

    status = text("The answer contains `results`", choices=("batch",))
    results: fields.List[Any] = list_of(
        OneOfSchemas(QueuedSchema, DuplicateSchema, SupersededSchema, IgnoredSchema, RejectedSchema),
        "One result for each record",
    )


class FoundSchema(AnswerSchema):
    """The status of a delivery, for its sender."""

    status = text("The delivery exists", choices=("found",))
    delivery_id = text("The id in the path")
    delivery_status = text(
        "The status of the delivery; `journaled`: it is in this machine's journal", choices=(*STATUSES, "journaled")
    )


_QUEUED = {"status": "queued", "delivery_id": DELIVERY_ID}
_IGNORED = {"status": "ignored", "reason": "state 2 of table incident is not listed in the mapping's `states`"}
_SENDER = ("sender-unknown", "too-many-refusals", "address-refused", "no-integration", "mapping-unusable")

WEBHOOKS = (
    OperationSpec(
        method="post",
        path="/webhooks/{name}",
        id="receiveWebhook",
        tag="Webhooks",
        summary="Send the new state of a ticket to the relay",
        description=(
            "Accepts one record, or a list of up to 500 records, and answers when they are stored. After a 2xx there is "
            "nothing left to do. After 408, 429, any 5xx, or no answer, send the same body again: the relay recognises "
            "repeats. After any other answer, sending it again changes nothing until the sender or the mapping is corrected. "
            "The mapping file defines what a record looks like; the presets read what ServiceNow and Service Exchange send. "
            "`/webhooks/{name}/` works too. A missing content type and `text/plain` count as JSON."
        ),
        parameters=("Name", "IdempotencyKey", "RequestId"),
        body=RequestBodySpec(
            "A record, or a list of records. A list of one record is answered like a single record.",
            {"description": "Any JSON; the mapping file defines how it is read"},
            {"record": WEBHOOK, "records": [WEBHOOK, {"sys_id": SYS_ID, "state": "2"}]},
            required=True,
        ),
        responses=(
            ResponseSpec(
                202,
                "The update is accepted and stored (`queued`), or stored on this machine's disk while Redis is unavailable "
                "(`journaled`)",
                (QueuedSchema, JournaledSchema),
                {"queued": _QUEUED, "journaled": {"status": "journaled", "journal_id": DELIVERY_ID}},
            ),
            ResponseSpec(
                200,
                "Nothing to do: the same update was accepted before (`duplicate`), its state is not relayed (`ignored`), or a "
                "newer update of the ticket was accepted before (`superseded`)",
                (DuplicateSchema, IgnoredSchema, SupersededSchema),
                {
                    "duplicate": {"status": "duplicate", "delivery_id": DELIVERY_ID},
                    "ignored": _IGNORED,
                    "superseded": {"status": "superseded", "delivery_id": DELIVERY_ID},
                },
            ),
            ResponseSpec(
                207,
                "Several records: one result for each, in order",
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
    OperationSpec(
        method="get",
        path="/webhooks/{name}/deliveries/{delivery_id}",
        id="askAfterDelivery",
        tag="Webhooks",
        summary="Get the status of a delivery",
        description="For the sender, with its own credentials. A signature is over an empty body.",
        parameters=("Name", "DeliveryId", "RequestId"),
        responses=(
            ResponseSpec(
                200,
                "The status of the delivery",
                FoundSchema,
                {"delivered": {"status": "found", "delivery_id": DELIVERY_ID, "delivery_status": "delivered"}},
            ),
        ),
        problems=(*_SENDER, "no-delivery", "store-away"),
        security=SENDERS,
    ),
)
