"""The position of each value in the body of a script, so that the mapping finds it. Each layout is tried with the mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from relay.core.integration import Integration
from relay.core.key_paths import KeyPath, key_paths_of
from relay.core.mapping import map_payload
from relay.core.mapping_blocks import FIELDS
from relay.core.model import Mapped, Rejected, Update
from relay.core.values import parse_date_time, table_key
from relay.errors import UnfitMappingError
from relay.servicenow.tables import INCIDENT, Table

#: The fields of a sample ticket, in ServiceNow's formats.
_SAMPLE = {
    "number": "INC0010023",
    "version": "7",
    "updated_at": "2026-11-22 10:20:30",
    "resolved_by": "ann@example.com",
}
_SYS_IDS = ("9d385017c611228701d22104cc95c371", "46e3e949a9fe19810069b824ba2c761a")

Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys that lead to a record, the keys of each field in it, and whether records are in a list."""

    envelope: Keys
    fields: Mapping[str, Keys]
    #: Whether a single record is in a list as well.
    is_list: bool
    #: Whether a body can contain several records.
    accepts_lists: bool = True

    def payload(self, *records: Mapping[str, Any]) -> Any:
        """Return the body with these records, each given by its fields."""
        built = [self._record(values) for values in records]
        payload: Any = built if self.is_list or len(built) > 1 else built[0]
        for key in reversed(self.envelope):
            payload = {key: payload}
        return payload

    def _record(self, values: Mapping[str, Any]) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for name, keys in self.fields.items():
            inner = record
            for key in keys[:-1]:
                inner = inner.setdefault(key, {})
            inner[keys[-1]] = values[name]
        return record


def find_layout(integration: Integration, table: Table) -> Layout:
    """Return a layout in which the mapping finds every value that a script sends for a ticket of `table`.

    Raises:
        UnfitMappingError: a path of the mapping does not consist of names and dots; the message contains the path, and advice.
    """
    fields = _keys_of_fields(integration)
    explanation = ""
    for records in (KeyPath(()), *key_paths_of(integration.records.expression)):
        layout = Layout(
            records.keys,
            {name: (*(records.each or ()), *keys) for name, keys in fields.items()},
            is_list=records.each is not None,
        )
        misread = _misread_field(integration, layout, table)
        if misread is None:
            return replace(layout, accepts_lists=_accepts_lists(integration, layout, table))
        if misread != "records" or not explanation:
            explanation = _explain(integration, misread)
    raise UnfitMappingError(explanation)


def _keys_of_fields(integration: Integration) -> dict[str, Keys]:
    """Return the keys of each field in a record: the first of its paths that has only names and dots and is not in use."""
    fields: dict[str, Keys] = {}
    for name in FIELDS:
        key_paths = [path for field in integration.fields.get(name, ()) for path in key_paths_of(field.expression)]
        possible = (path.keys for path in key_paths if path.keys and path.each is None)
        unused = (keys for keys in possible if not any(_overlap(keys, used) for used in fields.values()))
        if keys := next(unused, None):
            fields[name] = keys
    return fields


def _overlap(first: Keys, second: Keys) -> bool:
    """Return whether one path is the other, or leads to it."""
    shared = min(len(first), len(second))
    return first[:shared] == second[:shared]


def _misread_field(integration: Integration, layout: Layout, table: Table) -> str | None:
    """Return the first field that the mapping does not read as the script writes it, or None."""
    for state, iem_state in table.states.items():
        mapped = map_payload(integration, layout.payload(_sample(table, state)))
        if len(mapped) != 1:
            return "records"
        if misread := next(_misread_fields(integration, mapped[0], table, iem_state), None):
            return misread
    reopened = map_payload(integration, layout.payload(_sample(table, "-987654")))
    return "state" if any(isinstance(record, Update) for record in reopened) else None


def _misread_fields(integration: Integration, mapped: Mapped, table: Table, iem_state: int) -> Iterator[str]:
    if isinstance(mapped, Rejected):
        yield mapped.errors[0].field
        return
    if table_key(mapped.ticket.table or INCIDENT) != table_key(table.name):
        yield "table"
    if not isinstance(mapped, Update) or mapped.iem_state != iem_state:
        yield "state"
    for name, expected in _expected().items():
        if name in integration.fields and getattr(mapped.ticket, name) != expected:
            yield name


def _accepts_lists(integration: Integration, layout: Layout, table: Table) -> bool:
    state = next(iter(table.states))
    samples = [_sample(table, state, sys_id) for sys_id in _SYS_IDS]
    mapped = map_payload(integration, layout.payload(*samples))
    return [record.ticket.sys_id for record in mapped if isinstance(record, Update)] == list(_SYS_IDS)


def _sample(table: Table, state: str, sys_id: str = _SYS_IDS[0]) -> dict[str, Any]:
    is_label = state in table.states and state not in table.numbers
    choice = {"value": "", "display_value": state} if is_label else {"value": state, "display_value": ""}
    return {**_SAMPLE, "sys_id": sys_id, "table": table.name, "state": choice}


def _expected() -> dict[str, Any]:
    moment = parse_date_time(_SAMPLE["updated_at"])
    return {**_SAMPLE, "sys_id": _SYS_IDS[0], "updated_at": moment}


def _explain(integration: Integration, field: str) -> str:
    if field == "records":
        return (
            f"`records` is `{integration.records.expression}`: a script cannot derive the place of a record from it. "
            "Write names and dots, such as `data.incidents`, or add `|| @`, so that the body can be the record itself"
        )
    pattern = integration.sys_id_pattern
    if field == "sys_id" and not pattern.matches(_SYS_IDS[0]):
        return (
            f"`sys_id_pattern` is `{pattern.pattern}`: a sys_id of ServiceNow, such as {_SYS_IDS[0]}, does not match it"
        )
    paths = ", ".join(f"`{path.expression}`" for path in integration.fields.get(field, ())) or "not set"
    return (
        f"`fields.{field}` is {paths}: a script cannot derive the place of the {field} from it. "
        "Add a path of names and dots that no other field uses, such as "
        f"`{_USUAL_PATHS[field]}`. The relay uses the first path of the list that has a value"
    )


_USUAL_PATHS = {
    "sys_id": "sys_id",
    "state": "state",
    "table": "sys_class_name",
    "number": "number",
    "version": "sys_mod_count",
    "updated_at": "sys_updated_on",
    "resolved_by": "resolved_by.email",
}
