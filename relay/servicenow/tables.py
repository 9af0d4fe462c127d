"""Which of ServiceNow's tables a mapping relays, and which of their states."""

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
#: The labels of ServiceNow's own states, by their `state_key`.
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
    """A table by its name in ServiceNow (`change_request`), and its relayed states: `values.state_key` → IEM state."""

    name: str
    states: Mapping[str, int]

    @property
    def numbers(self) -> list[str]:
        """The states that are numbers: by these ServiceNow can be asked."""
        return [state for state in self.states if _NUMBER.fullmatch(state)]

    @property
    def labels(self) -> list[str]:
        """The states that are labels and no other name of a listed number."""
        known = _LABELS.get(self.name, {})
        return [state for state in self.states if not _NUMBER.fullmatch(state) and known.get(state) not in self.states]


def relayed_tables(file: MappingFile, integration: Integration) -> list[Table]:
    """Return the tables that a mapping relays, the incident first."""
    others = (Table(_name_of(spelt), integration.tables[table_key(spelt)]) for spelt in _spellings(file))
    return [Table(INCIDENT, integration.states), *others]


def choose_table(tables: list[Table], wanted: str) -> Table:
    """Return the table that is called `wanted`, by its name or its label.

    Raises:
        UnfitMappingError: the mapping does not relay it, or it has no name that ServiceNow could know.
    """
    found = next((one for one in tables if table_key(one.name) == table_key(wanted)), None)
    if found is None:
        known = ", ".join(one.name for one in tables)
        raise UnfitMappingError(f"the mapping does not relay the table {wanted[:80]}: it relays {known}")
    name = _name_of(wanted)
    if not _NAME.fullmatch(name):
        raise UnfitMappingError(f"{name[:80]} is no name of a table: give it as ServiceNow has it, such as sc_task")
    return Table(name, found.states)


def _spellings(file: MappingFile) -> Iterator[str]:
    tree = file.document.tree if file.document else None
    tables = tree.get("tables") if isinstance(tree, dict) else None
    yield from tables or ()


def _name_of(spelt: str) -> str:
    """Return what ServiceNow calls a table whose name or label is `spelt`."""
    return "_".join(spelt.split()).lower()
