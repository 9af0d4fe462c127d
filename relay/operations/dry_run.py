"""Dry run of a payload: how the mapping reads each record, the result, and the request to IEM. Nothing is sent or stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from relay.core.dedupe import identify, identity_window
from relay.core.integration import Integration
from relay.core.mapping import MAX_RECORDS, find_records, is_whole_payload, map_payload, map_record
from relay.core.mapping_blocks import IemBlock
from relay.core.model import Ignored, Mapped, Rejected, TicketFields, Update
from relay.core.references import Env, File, Plain, Text
from relay.core.units import format_duration
from relay.core.values import format_time, state_key
from relay.errors import ConfigurationError, TooManyRecordsError
from relay.http.caller import COMMON_HEADERS
from relay.iem.calls import PUSH_HEADERS, Target, push_body, push_path
from relay.mapping_files.document import Document
from relay.mapping_files.folder import MappingFile
from relay.mapping_files.positions import Position
from relay.mapping_files.record_trace import PathLookup, StateRow, find_row, position_of_value, trace_fields

#: Shown instead of a credential.
MASK = "•••"
#: Longer values are truncated (characters of their JSON).
_MAX_SHOWN = 400


class DryRun:
    """Tries payloads on one mapping. All reports are JSON values."""

    def __init__(self, file: MappingFile) -> None:
        """Raises ConfigurationError if the file has faults."""
        if file.integration is None or file.document is None:
            raise ConfigurationError(file.formatted_faults())
        self._file = file
        self._integration: Integration = file.integration
        self._document: Document = file.document

    def try_payload(self, payload: Any, idempotency_key: str | None = None) -> dict[str, Any]:
        """Report how a webhook with this body would be handled. Raises TooManyRecordsError, as for the webhook itself."""
        records = find_records(self._integration, payload)
        if len(records) > MAX_RECORDS:
            raise TooManyRecordsError(f"{len(records)} records in one payload: send at most {MAX_RECORDS}")
        if not records:
            return self._report(
                [self._result(mapped, {}, None) for mapped in map_payload(self._integration, payload)], 0
            )
        return self._report([self._try_record(record, idempotency_key) for record in records], len(records))

    def try_rejection(self, rejection: Mapping[str, Any]) -> dict[str, Any]:
        """Report how a stored rejection would be handled if it were replayed now."""
        record, idempotency_key = rejection["record"], rejection["idempotency_key"] or None
        if is_whole_payload(rejection):
            return self.try_payload(record, idempotency_key)
        return self._report([self._try_record(record, idempotency_key)], 1)

    def _report(self, results: list[dict[str, Any]], count: int) -> dict[str, Any]:
        expression = self._integration.records.expression
        return {
            "integration": self._integration.name,
            "mapping": self._integration.digest,
            "file": str(self._file.path),
            "enabled": self._integration.enabled,
            "records": {"path": expression, **_place(position_of_value(self._document, ("records",))), "found": count},
            "results": results,
        }

    def _try_record(self, record: Any, idempotency_key: str | None) -> dict[str, Any]:
        lookups = trace_fields(self._integration, self._document, record)
        return self._result(map_record(self._integration, record), lookups, idempotency_key)

    def _result(
        self, mapped: Mapped, lookups: dict[str, list[PathLookup]], idempotency_key: str | None
    ) -> dict[str, Any]:
        used = None if isinstance(mapped, Rejected) else mapped.ticket
        match mapped:
            case Update(ticket=ticket, iem_state=state):
                result = {
                    "result": "relayed",
                    **_ticket(ticket),
                    "iem_state": state,
                    "matched": _row(find_row(self._integration, self._document, ticket), lookups["state"][-1]),
                    "dedupe": {**self._identity(mapped, idempotency_key), **_order(ticket)},
                    "push": push_body(ticket.sys_id, state).decode(),
                    "request": _request(self._integration.iem, ticket.sys_id, state),
                }
            case Ignored(ticket=ticket, reason=reason):
                result = {"result": "ignored", **_ticket(ticket), "reason": reason, "dedupe": _order(ticket)}
            case Rejected(errors=errors):
                result = {"result": "rejected", "errors": [error.as_dict() for error in errors]}
        return {**result, "fields": [_field(name, paths, used) for name, paths in lookups.items()]}

    def _identity(self, update: Update, idempotency_key: str | None) -> dict[str, Any]:
        dedupe = self._integration.dedupe
        identity = identify(update, idempotency_key)
        known_for = format_duration(identity_window(identity, dedupe.window))
        return {"identity": identity.text, "known_for": known_for, "collapse": dedupe.collapse}


def _ticket(ticket: TicketFields) -> dict[str, Any]:
    return {
        "sys_id": ticket.sys_id,
        "itsm_state": ticket.itsm_state,
        "number": ticket.number,
        "version": ticket.version,
    }


def _order(ticket: TicketFields) -> dict[str, Any]:
    """Return the value that decides whether the update is older or newer than other updates of its ticket."""
    if ticket.version is not None:
        return {"ordered_by": "version", "order": ticket.version}
    if ticket.updated_at is not None:
        return {"ordered_by": "updated_at", "order": format_time(ticket.updated_at)}
    return {"ordered_by": "arrival", "order": None}


def _row(row: StateRow | None, state: PathLookup) -> dict[str, Any] | None:
    if row is None:
        return None
    is_value = state.value is not None and state_key(state.value.value or "") == state_key(row.state)
    match = {"under": row.under, "state": row.state, "iem_state": row.iem_state, "by": "value" if is_value else "label"}
    return {**match, **_place(row.position)}


def _field(name: str, lookups: list[PathLookup], ticket: TicketFields | None) -> dict[str, Any]:
    value = lookups[-1].value if lookups else None
    used = value.text if value else None
    if ticket:
        kept = getattr(ticket, "itsm_state" if name == "state" else name)
        used = format_time(kept) if name == "updated_at" and kept is not None else kept
    return {
        "name": name,
        "paths": [
            {
                "path": lookup.expression,
                **_place(lookup.position),
                "found": _shortened(lookup.found),
                "is_value": bool(lookup.value),
            }
            for lookup in lookups
        ],
        "value": value.value if value else None,
        "label": value.label if value else None,
        "used": used,
    }


def _place(position: Position | None) -> dict[str, int | None]:
    return {"line": position.line if position else None, "column": position.column if position else None}


def _shortened(found: Any) -> Any:
    text = json.dumps(found, ensure_ascii=False)
    return found if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _request(iem: IemBlock, sys_id: str, state: int) -> dict[str, Any]:
    """Return the push as it would be sent, with a mask instead of the credential. No secret is read."""
    path = push_path(Target(iem.customer_id, iem.integration_id))
    credential = {"Authorization": f"Basic {MASK}"} if iem.auth == "basic" else {"Cookie": f"access_token={MASK}"}
    body = push_body(sys_id, state).decode()
    headers = {**COMMON_HEADERS, **PUSH_HEADERS, **credential, "Content-Length": str(len(body))}
    return {
        "method": "POST",
        "url": _written(iem.url).rstrip("/") + path,
        "path": path,
        "headers": headers,
        "body": body,
    }


def _written(url: Text) -> str:
    match url:
        case Plain(text=text):
            return text
        case Env(name=name):
            return f"{{env: {name}}}"
        case File(path=path):
            return f"{{file: {path}}}"
