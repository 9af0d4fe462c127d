"""Reads bodies for the publish service from a file: a JSON object, a JSON array of objects, or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from relay.iem.publish_bodies import Publication
from relay.iem.publish_schemas import customer_field, problems_of


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A body, its place in the file, and all problems of it."""

    place: str
    body: dict[str, Any]
    problems: tuple[str, ...] = ()


def read_records(text: str, publication: Publication, customer_id: str) -> list[FileRecord]:
    """Return every body in `text`. A body without a customer gets `customer_id`. Problems are in the records."""
    return [_check(place, value, publication, customer_id) for place, value in _values(text)]


def _values(text: str) -> Iterator[tuple[str, Any]]:
    """Yield each value with its place. A value that is not JSON is the ValueError or RecursionError of the parser."""
    whole = _parse(text)
    if isinstance(whole, Exception):
        # Not `splitlines`: texts in JSON can contain other line separators of Unicode.
        lines = [(number, _parse(line)) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        is_lines = len(lines) > 1 and any(isinstance(value, dict) for _, value in lines)
        yield from ((f"line {number}", value) for number, value in lines) if is_lines else [("the file", whole)]
    elif isinstance(whole, list):
        yield from ((f"record {number}", value) for number, value in enumerate(whole, 1))
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
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"duplicate member {repeated[:64]}")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _check(place: str, value: Any, publication: Publication, customer_id: str) -> FileRecord:
    if isinstance(value, RecursionError):
        return FileRecord(place, {}, ("not JSON: nested too deeply",))
    if isinstance(value, json.JSONDecodeError):
        return FileRecord(place, {}, (f"not JSON: {value.msg} at line {value.lineno}, column {value.colno}",))
    if isinstance(value, ValueError):
        return FileRecord(place, {}, (f"not JSON: {value}",))
    if not isinstance(value, dict):
        return FileRecord(place, {}, ("expected a JSON object",))
    body = {customer_field(publication): customer_id, **value}
    return FileRecord(place, body, tuple(problems_of(publication, body)))
