"""How a record was read: the result of each path, and the row of `states` that matched, with their lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from relay.core.integration import Integration
from relay.core.mapping import evaluate_paths
from relay.core.mapping_blocks import FIELDS
from relay.core.model import TicketFields
from relay.core.values import Value, state_key, table_key
from relay.mapping_files.document import Document, DocumentPath
from relay.mapping_files.positions import Position


@dataclass(frozen=True, slots=True)
class PathLookup:
    """A path that was evaluated, and its result. Without a position, the path is from the source's preset."""

    expression: str
    position: Position | None
    found: Any
    value: Value | None


@dataclass(frozen=True, slots=True)
class StateRow:
    """A row of a list of states. Without a position, it is from the source's preset."""

    under: str
    state: str
    iem_state: int
    position: Position | None


def trace_fields(integration: Integration, document: Document, record: Any) -> dict[str, list[PathLookup]]:
    """Return the paths that were evaluated for each field, in order, up to the first that yielded a value."""
    if not isinstance(record, dict):
        return {}
    return {name: list(_lookups(integration, document, name, record)) for name in FIELDS if name in integration.fields}


def position_of_value(document: Document, path: DocumentPath) -> Position | None:
    """Return the position of the value at `path`; None if the file does not have it."""
    return document.values.get(path)


def find_row(integration: Integration, document: Document, ticket: TicketFields) -> StateRow | None:
    """Return the row that matches the state of `ticket`."""
    name = table_key(ticket.table) if ticket.table else "incident"
    states = integration.states if name == "incident" else integration.tables.get(name, {})
    wanted = state_key(ticket.itsm_state)
    if wanted not in states:
        return None
    under = _states_path(document, name)
    for path, position in document.keys.items():
        if path[:-1] == under and state_key(str(path[-1])) == wanted:
            return StateRow(".".join(map(str, under)), str(path[-1]), states[wanted], position)
    return StateRow("states", wanted, states[wanted], None)


def _lookups(integration: Integration, document: Document, name: str, record: dict[str, Any]) -> Iterator[PathLookup]:
    paths = integration.fields[name]
    for index, (found, value) in enumerate(evaluate_paths(paths, record)):
        item = position_of_value(document, ("fields", name, index))
        yield PathLookup(paths[index].expression, item or position_of_value(document, ("fields", name)), found, value)


def _states_path(document: Document, table: str) -> DocumentPath:
    if table == "incident":
        return ("states",)
    paths = (path for path in document.keys if path[:-1] == ("tables",) and table_key(str(path[-1])) == table)
    return (*next(paths, ("tables", table)), "states")
