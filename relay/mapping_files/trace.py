"""How a record was read: what each path of the mapping found, and which row of `states` matched, with their lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from relay.core.integration import FIELDS, Integration
from relay.core.mapping import evaluate_paths
from relay.core.model import TicketFields
from relay.core.values import Value, state_key, table_key
from relay.mapping_files.document import Document, DocumentPath, Position


@dataclass(frozen=True, slots=True)
class PathLookup:
    """A path that was looked at, and what it found; no position: the source's preset has the path."""

    expression: str
    position: Position | None
    found: Any
    value: Value | None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a list of states; no position: the source's preset has it."""

    under: str
    state: str
    iem_state: int
    position: Position | None


def trace_fields(integration: Integration, document: Document, record: Any) -> dict[str, list[PathLookup]]:
    """Return the paths that were looked at for each field, in order, up to the one that yielded its value."""
    if not isinstance(record, dict):
        return {}
    return {name: list(_looks(integration, document, name, record)) for name in FIELDS if name in integration.fields}


def place_of(document: Document, path: DocumentPath) -> Position | None:
    """Return where a key's value stands in the file; None where the file does not have it."""
    return document.values.get(path)


def find_row(integration: Integration, document: Document, ticket: TicketFields) -> Row | None:
    """Return the row that the state of `ticket` matched."""
    name = table_key(ticket.table) if ticket.table else "incident"
    states = integration.states if name == "incident" else integration.tables.get(name, {})
    wanted = state_key(ticket.itsm_state)
    if wanted not in states:
        return None
    under = _states_path(document, name)
    for path, place in document.keys.items():
        if path[:-1] == under and state_key(str(path[-1])) == wanted:
            return Row(".".join(map(str, under)), str(path[-1]), states[wanted], place)
    return Row("states", wanted, states[wanted], None)


def _looks(integration: Integration, document: Document, name: str, record: dict[str, Any]) -> Iterator[PathLookup]:
    paths = integration.fields[name]
    for which, (found, value) in enumerate(evaluate_paths(paths, record)):
        item = place_of(document, ("fields", name, which))
        yield PathLookup(paths[which].expression, item or place_of(document, ("fields", name)), found, value)


def _states_path(document: Document, table: str) -> DocumentPath:
    if table == "incident":
        return ("states",)
    spelt = (path for path in document.keys if path[:-1] == ("tables",) and table_key(str(path[-1])) == table)
    return (*next(spelt, ("tables", table)), "states")
