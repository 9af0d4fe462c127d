"""Bodies for the publish service out of a file: one JSON object, a JSON array of them, or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from relay.iem.bodies import customer_field, problems_of
from relay.iem.model import Publication


@dataclass(frozen=True, slots=True)
class Record:
    """One body, where it stands in the file, and all that is wrong with it."""

    place: str
    body: dict[str, Any]
    problems: tuple[str, ...] = ()


def read_records(text: str, publication: Publication, customer_id: str) -> list[Record]:
    """Return every body in `text`; a customer that is not named is `customer_id`. Faults are in the records."""
    return [_check(place, value, publication, customer_id) for place, value in _values(text)]


def _values(text: str) -> Iterator[tuple[str, Any]]:
    """Return each value with its place; one that is no JSON is a JSONDecodeError."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2 or isinstance(_parse(lines[0][1]), Exception):
            yield "the file", error
            return
        yield from ((f"line {number}", _parse(line)) for number, line in lines)
        return
    if isinstance(whole, list):
        yield from ((f"record {number}", one) for number, one in enumerate(whole, 1))
    else:
        yield "record 1", whole


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return error


def _check(place: str, value: Any, publication: Publication, customer_id: str) -> Record:
    if isinstance(value, RecursionError):
        return Record(place, {}, ("no JSON: nested too deep",))
    if isinstance(value, json.JSONDecodeError):
        return Record(place, {}, (f"no JSON: {value.msg} at line {value.lineno}, column {value.colno}",))
    if not isinstance(value, dict):
        return Record(place, {}, ("expected a JSON object",))
    body = {customer_field(publication): customer_id, **value}
    return Record(place, body, tuple(problems_of(publication, body)))
