"""Bodies for the publish service out of a file: one JSON object, a JSON array of them, or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from relay.iem.publish_bodies import Publication
from relay.iem.publish_schemas import customer_field, problems_of


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One body, where it stands in the file, and all that is wrong with it."""

    place: str
    body: dict[str, Any]
    problems: tuple[str, ...] = ()


def read_records(text: str, publication: Publication, customer_id: str) -> list[FileRecord]:
    """Return every body in `text`; a customer that is not named is `customer_id`. Faults are in the records."""
    return [_check(place, value, publication, customer_id) for place, value in _values(text)]


def _values(text: str) -> Iterator[tuple[str, Any]]:
    """Return each value with its place; one that is no JSON is the ValueError or RecursionError that says so."""
    whole = _parse(text)
    if isinstance(whole, Exception):
        # Not at every line end of Unicode: some of them may stand in a text.
        lines = [(number, _parse(line)) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        is_lines = len(lines) > 1 and any(isinstance(value, dict) for _, value in lines)
        yield from ((f"line {number}", value) for number, value in lines) if is_lines else [("the file", whole)]
    elif isinstance(whole, list):
        yield from ((f"record {number}", one) for number, one in enumerate(whole, 1))
    else:
        yield "record 1", whole


def _parse(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the member {next(name for name in names if names.count(name) > 1)[:64]} stands twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _check(place: str, value: Any, publication: Publication, customer_id: str) -> FileRecord:
    if isinstance(value, RecursionError):
        return FileRecord(place, {}, ("no JSON: nested too deep",))
    if isinstance(value, json.JSONDecodeError):
        return FileRecord(place, {}, (f"no JSON: {value.msg} at line {value.lineno}, column {value.colno}",))
    if isinstance(value, ValueError):
        return FileRecord(place, {}, (f"no JSON: {value}",))
    if not isinstance(value, dict):
        return FileRecord(place, {}, ("expected a JSON object",))
    body = {customer_field(publication): customer_id, **value}
    return FileRecord(place, body, tuple(problems_of(publication, body)))
