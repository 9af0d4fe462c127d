"""Where a mapping looks for what a script sends: the keys of the body. What is found is tried on the mapping itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from relay.core.integration import FIELDS, Integration
from relay.core.key_paths import KeyPath, key_paths_of
from relay.core.mapping import map_payload
from relay.core.model import Mapped, Rejected, Update
from relay.core.values import parse_date_time, table_key
from relay.errors import UnfitMappingError
from relay.servicenow.tables import INCIDENT, Table

#: What the samples say of a ticket, as ServiceNow writes it.
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
    """The keys before a record, those of each field in it, and whether records stand in a list."""

    envelope: Keys
    fields: Mapping[str, Keys]
    #: A record stands in a list even where it is alone.
    is_list: bool
    #: Several records can stand in one body.
    takes_lists: bool = True

    def payload(self, *records: Mapping[str, Any]) -> Any:
        """Return the body that holds records, each given by its fields."""
        built = [self._record(one) for one in records]
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


def lay_out(integration: Integration, table: Table) -> Layout:
    """Return the layout by which the mapping reads all that a script tells of a ticket of `table`.

    Raises:
        UnfitMappingError: a path of the mapping is more than names and dots; the message tells which, and what to do.
    """
    fields = _place_fields(integration)
    complaint = ""
    for place in (KeyPath(()), *key_paths_of(integration.records.expression)):
        layout = Layout(
            place.keys, {name: (*(place.each or ()), *keys) for name, keys in fields.items()}, place.each is not None
        )
        misfit = _misfit(integration, layout, table)
        if misfit is None:
            return replace(layout, takes_lists=_takes_lists(integration, layout, table))
        complaint = complaint if misfit == "records" and complaint else _explain(integration, misfit)
    raise UnfitMappingError(complaint)


def _place_fields(integration: Integration) -> dict[str, Keys]:
    """Return each field's keys in a record: of a list of paths the first that is names and dots, and free."""
    fields: dict[str, Keys] = {}
    for name in FIELDS:
        paths = integration.fields.get(name, ())
        places = [
            place for path in paths for place in key_paths_of(path.expression) if place.keys and place.each is None
        ]
        free = (one.keys for one in places if not any(_collide(one.keys, taken) for taken in fields.values()))
        if keys := next(free, None):
            fields[name] = keys
    return fields


def _collide(one: Keys, other: Keys) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def _misfit(integration: Integration, layout: Layout, table: Table) -> str | None:
    """Return the first field that the mapping reads otherwise than a script means it, or None."""
    for state, iem_state in table.states.items():
        mapped = map_payload(integration, layout.payload(_sample(table, state)))
        if len(mapped) != 1:
            return "records"
        if misfit := next(_misfits(integration, mapped[0], table, iem_state), None):
            return misfit
    reopened = map_payload(integration, layout.payload(_sample(table, "-987654")))
    return "state" if any(isinstance(one, Update) for one in reopened) else None


def _misfits(integration: Integration, mapped: Mapped, table: Table, iem_state: int) -> Iterator[str]:
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


def _takes_lists(integration: Integration, layout: Layout, table: Table) -> bool:
    state = next(iter(table.states))
    samples = [_sample(table, state, sys_id) for sys_id in _SYS_IDS]
    mapped = map_payload(integration, layout.payload(*samples))
    return [one.ticket.sys_id for one in mapped if isinstance(one, Update)] == list(_SYS_IDS)


def _sample(table: Table, state: str, sys_id: str = _SYS_IDS[0]) -> dict[str, Any]:
    is_label = state in table.states and state not in table.numbers
    told = {"value": "", "display_value": state} if is_label else {"value": state, "display_value": ""}
    return {**_SAMPLE, "sys_id": sys_id, "table": table.name, "state": told}


def _expected() -> dict[str, Any]:
    moment = parse_date_time(_SAMPLE["updated_at"])
    return {**_SAMPLE, "sys_id": _SYS_IDS[0], "updated_at": moment}


def _explain(integration: Integration, misfit: str) -> str:
    if misfit == "records":
        return (
            f"`records` is `{integration.records.expression}`: a script cannot tell from it where a record must stand. "
            "Write names and dots, such as `data.incidents`, or add `|| @`: the body is then the bare record"
        )
    looked = ", ".join(f"`{path.expression}`" for path in integration.fields.get(misfit, ())) or "not there"
    told = (
        f"`fields.{misfit}` is {looked}: a script cannot tell from it where the {misfit} must stand. "
        "Add a path of names and dots that no other field has, such as "
        f"`{_USUAL[misfit]}`; of a list of paths the first that has a value is taken"
    )
    pattern = integration.sys_id_pattern
    if misfit == "sys_id" and not pattern.matches(_SYS_IDS[0]):
        return (
            f"`sys_id_pattern` is `{pattern.pattern}`: a sys_id of ServiceNow, such as {_SYS_IDS[0]}, does not match it"
        )
    return told


_USUAL = {
    "sys_id": "sys_id",
    "state": "state",
    "table": "sys_class_name",
    "number": "number",
    "version": "sys_mod_count",
    "updated_at": "sys_updated_on",
    "resolved_by": "resolved_by.email",
}
