"""Maps a webhook's payload to updates, by the integration's mapping. No JSON value raises an exception."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from relay.core.id_pattern import TooSlowError
from relay.core.integration import Integration
from relay.core.model import FieldError, Ignored, Mapped, Rejected, TicketFields, Update
from relay.core.paths import FieldPath
from relay.core.values import Value, normalise, parse_date_time, state_key, table_key

#: Maximum number of records in one payload; more are refused (413).
MAX_RECORDS = 500

_DECIMAL = re.compile(r"([+-]?)(\d+)(?:\.(\d*))?", re.ASCII)
#: Longest text of a field; longer texts are cut, and longer ids are rejected.
_MAX_TEXT = 255
_MAX_SHOWN = 64


def find_records(integration: Integration, payload: Any) -> list[Any]:
    """Return the records that the mapping's `records` path finds in `payload`."""
    found = integration.records.search(payload)
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def map_payload(integration: Integration, payload: Any) -> list[Mapped]:
    """Return the result for each record of `payload`, in order. A payload without a record is one rejection."""
    return map_records(integration, find_records(integration, payload), payload)


def map_records(integration: Integration, records: Sequence[Any], payload: Any) -> list[Mapped]:
    """Return the result for each of `records`, which `find_records` found in `payload`."""
    if not records:
        problem = f"no record at `{integration.records.expression}` (the mapping's `records`)"
        return [Rejected((FieldError("records", problem),), payload)]
    return [map_record(integration, record) for record in records]


def map_record(integration: Integration, record: Any) -> Mapped:
    """Return the update that `record` contains, or why it is ignored or rejected."""
    if not isinstance(record, dict):
        problem = f"expected an object with fields, not {_kind(record)}"
        return Rejected((FieldError("records", problem, _shown(record)),), record)
    found = {name: find_value(paths, record) for name, paths in integration.fields.items()}
    values = {name: value for name, (value, _) in found.items()}
    sys_id, state = values.get("sys_id"), values.get("state")
    errors = [
        error for error in (_check_sys_id(integration, sys_id, record), _check_state(integration, state)) if error
    ]
    if errors or sys_id is None or state is None:
        return Rejected(tuple(errors), record)
    ticket = _read_ticket(values, sys_id, state, via={name: index for name, (_, index) in found.items() if index})
    return _decide(integration, ticket, state, record)


def find_value(paths: tuple[FieldPath, ...], record: dict[str, Any]) -> tuple[Value | None, int]:
    """Return the first value that `paths` find, and the index of its path; None and 0 if no path finds a value."""
    for index, path in enumerate(paths):
        value = normalise(path.search(record))
        if value is not None:
            return value, index
    return None, 0


def evaluate_paths(paths: tuple[FieldPath, ...], record: dict[str, Any]) -> Iterator[tuple[Any, Value | None]]:
    """Yield what each of `paths` finds, raw and normalised, up to the first value."""
    for path in paths:
        found = path.search(record)
        value = normalise(found)
        yield found, value
        if value is not None:
            return


def is_whole_payload(rejection: Mapping[str, Any]) -> bool:
    """Return whether a stored rejection keeps the whole payload, because no record was found in it."""
    return any(error["field"] == "records" for error in rejection["errors"])


def mapped_state(integration: Integration, table: str | None, itsm_state: str) -> int | None:
    """Return the IEM state for a state of `table` (None: incident), or None if it is not relayed."""
    name = table_key(table) if table else "incident"
    states = integration.states if name == "incident" else integration.tables.get(name, {})
    return states.get(state_key(itsm_state))


def version_of(text: str | None) -> str | None:
    """Return a decimal number in its shortest spelling (`7.0` and `007` become `7`), or None for anything else."""
    match = _DECIMAL.fullmatch(text) if text and len(text) <= _MAX_TEXT else None
    if match is None:
        return None
    whole, fraction = match[2].lstrip("0") or "0", (match[3] or "").rstrip("0")
    number = f"{whole}.{fraction}" if fraction else whole
    return f"-{number}" if match[1] == "-" and number != "0" else number


def _read_ticket(
    values: dict[str, Value | None], sys_id: Value, state: Value, *, via: Mapping[str, int]
) -> TicketFields:
    def text(name: str) -> str | None:
        value = values.get(name)
        return value.text[:_MAX_TEXT] if value else None

    def strict(name: str) -> str | None:
        value = values.get(name)  # a label has the user's own format, so updates cannot be ordered by it
        return value.value if value else None

    updated_at = strict("updated_at")
    return TicketFields(
        sys_id=sys_id.text,
        itsm_state=state.text[:_MAX_TEXT],
        table=text("table"),
        number=text("number"),
        version=version_of(strict("version")),
        updated_at=parse_date_time(updated_at) if updated_at else None,
        resolved_by=text("resolved_by"),
        via=via,
    )


def _decide(integration: Integration, ticket: TicketFields, state: Value, record: dict[str, Any]) -> Mapped:
    for text in (state.value, state.label):
        if text and (iem_state := mapped_state(integration, ticket.table, text)) is not None:
            # Keep the listed text: the state can be found again by it.
            listed = text[:_MAX_TEXT]
            return Update(ticket if ticket.itsm_state == listed else replace(ticket, itsm_state=listed), iem_state)
    label = f" ({state.label})" if state.label and state.label != ticket.itsm_state else ""
    where = f" of table {ticket.table[:_MAX_SHOWN]}" if ticket.table else ""
    reason = f"state {ticket.itsm_state[:_MAX_SHOWN]}{label[:_MAX_SHOWN]}{where} is not listed in the mapping's "
    reason += "`tables`" if ticket.table and table_key(ticket.table) != "incident" else "`states`"
    if integration.unlisted_states == "reject":
        return Rejected((FieldError("state", reason, ticket.itsm_state[:_MAX_SHOWN]),), record)
    return Ignored(ticket, reason)


def _check_sys_id(integration: Integration, value: Value | None, record: dict[str, Any]) -> FieldError | None:
    if value is None:
        return _missing("sys_id", integration, record)
    pattern = integration.sys_id_pattern
    try:
        if len(value.text) <= _MAX_TEXT and pattern.matches(value.text):
            return None
        problem = f"does not match `{pattern.pattern}` (the mapping's `sys_id_pattern`)"
    except TooSlowError:
        problem = (
            f"the pattern `{pattern.pattern}` (the mapping's `sys_id_pattern`) takes too long for this id: "
            "simplify it, because repeats inside repeats are slow"
        )
    return FieldError("sys_id", problem, value.text[:_MAX_SHOWN])


def _check_state(integration: Integration, value: Value | None) -> FieldError | None:
    return _missing("state", integration, None) if value is None else None


def _missing(name: str, integration: Integration, record: dict[str, Any] | None) -> FieldError:
    paths = integration.fields.get(name, ())
    tried = " or ".join(f"`{path.expression}`" for path in paths)
    problem = f"no value at {tried} (the mapping's `fields.{name}`)"
    found = next((path.search(record) for path in paths if record and path.search(record) is not None), None)
    return FieldError(name, problem, None if found is None else _shown(found))


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "a number"


def _shown(value: Any) -> str:
    return (
        value[:_MAX_SHOWN] if isinstance(value, str) else _kind(value) if not isinstance(value, dict) else "an object"
    )
