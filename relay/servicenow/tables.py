"""The ServiceNow tables that a mapping relays, and their states."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from relay.core.integration import Integration
from relay.core.values import table_key
from relay.errors import UnfitMappingError
from relay.mapping_files.folder import MappingFile

INCIDENT = "incident"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")
_NUMBER = re.compile(r"-?[0-9]+")
#: The numbers of ServiceNow's own states, by the `state_key` of their labels.
_LABELS: Mapping[str, Mapping[str, str]] = {
    "incident": {"resolved": "6", "closed": "7", "canceled": "8"},
    "problem": {"resolved": "106", "closed": "107"},
    "problem_task": {"closed": "157"},
    "change_request": {"closed": "3", "canceled": "4"},
    "change_task": {"closed": "3", "canceled": "4"},
    "sc_task": {"closedcomplete": "3", "closedincomplete": "4", "closedskipped": "7"},
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its name in ServiceNow (`change_request`), and its relayed states: `state_key` of the state → IEM state."""

    name: str
    states: Mapping[str, int]

    @property
    def numbers(self) -> list[str]:
        """The states that are numbers, which a query to ServiceNow can contain."""
        return [state for state in self.states if _NUMBER.fullmatch(state)]

    @property
    def labels(self) -> list[str]:
        """The labels whose numbers are not listed as well."""
        known = _LABELS.get(self.name, {})
        return [state for state in self.states if not _NUMBER.fullmatch(state) and known.get(state) not in self.states]


def relayed_tables(file: MappingFile, integration: Integration) -> list[Table]:
    """Return the tables that a mapping relays, `incident` first."""
    others = (Table(_name_of(key), integration.tables[table_key(key)]) for key in _table_keys(file))
    return [Table(INCIDENT, integration.states), *others]


def choose_table(tables: list[Table], wanted: str) -> Table:
    """Return the table with the name or label `wanted`.

    Raises:
        UnfitMappingError: the mapping does not relay it, or its name cannot be a table name in ServiceNow.
    """
    found = next((table for table in tables if table_key(table.name) == table_key(wanted)), None)
    if found is None:
        known = ", ".join(table.name for table in tables)
        raise UnfitMappingError(f"the mapping does not relay the table {wanted[:80]}: it relays {known}")
    name = _name_of(wanted)
    if not _NAME.fullmatch(name):
        raise UnfitMappingError(
            f"{name[:80]} is not a table name: write the name that ServiceNow uses, such as sc_task"
        )
    return Table(name, found.states)


def _table_keys(file: MappingFile) -> Iterator[str]:
    tree = file.document.tree if file.document else None
    tables = tree.get("tables") if isinstance(tree, dict) else None
    yield from tables or ()


def _name_of(key: str) -> str:
    """Return the ServiceNow name of a table whose name or label is `key`."""
    return "_".join(key.split()).lower()
