"""Strict checks of JSON bodies, from which the field tables of a contract are built.

A check takes a value and returns what is wrong with it, or None.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from relay.simulators.exchange import NotJsonError, SimulatorRequest, SimulatorResponse, message

Check = Callable[[object], str | None]


def text(value: object) -> str | None:
    """Expect a string, possibly empty."""
    return None if isinstance(value, str) else "expected a string"


def filled(value: object) -> str | None:
    """Expect a string that is not blank."""
    return None if isinstance(value, str) and value.strip() else "expected a non-empty string"


def integer(value: object) -> str | None:
    """Expect a JSON integer; true, false and 6.0 are not integers."""
    return None if isinstance(value, int) and not isinstance(value, bool) else "expected an integer"


def flag(value: object) -> str | None:
    """Expect true or false."""
    return None if isinstance(value, bool) else "expected true or false"


def flag_or_number(value: object) -> str | None:
    """Expect true, false or a number, if the contract does not say which."""
    return None if isinstance(value, bool | int | float) else "expected a boolean or a number"


def text_or_number(value: object) -> str | None:
    """Expect a string or a number, if the contract does not say which."""
    fits = isinstance(value, str | int | float) and not isinstance(value, bool)
    return None if fits else "expected a string or a number"


def json_text(value: object) -> str | None:
    """Expect a string that contains a JSON object."""
    try:
        content = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        content = None
    return None if isinstance(content, dict) else "expected a JSON object in a string"


def pattern(regex: str, example: str) -> Check:
    """Return a check for strings that match `regex`; the example describes them."""
    compiled = re.compile(regex)

    def check(value: object) -> str | None:
        matches = isinstance(value, str) and compiled.fullmatch(value)
        return None if matches else f"expected a string like {example}"

    return check


def optional(check: Check) -> Check:
    """Return a check that also accepts null."""
    return lambda value: None if value is None else check(value)


def items(check: Check) -> Check:
    """Return a check for lists."""

    def check_all(value: object) -> str | None:
        if not isinstance(value, list):
            return "expected a list"
        problems = [f"[{index}]: {problem}" for index, item in enumerate(value) if (problem := check(item))]
        return ", ".join(problems) or None

    return check_all


def members(
    fields: Mapping[str, Check], required: Collection[str] | None = None, *, more: Check | None = None
) -> Check:
    """Return a check for objects with these fields. All fields are required unless `required` lists fewer.

    `more` checks all other fields; without it they are refused.
    """
    needed = fields.keys() if required is None else required

    def check(value: object) -> str | None:
        if not isinstance(value, dict):
            return "expected an object"
        problems = [f"missing {name}" for name in needed if name not in value]
        for name, member in value.items():
            check_member = fields.get(name, more)
            if check_member is None:
                problems.append(f"unknown {name}")
            elif problem := check_member(member):
                problems.append(f"{name}: {problem}")
        return ", ".join(problems) or None

    return check


def checked_body(request: SimulatorRequest, check: Check) -> dict[str, Any] | SimulatorResponse:
    """Return the JSON object in a request's body, or a 400 that lists every problem."""
    try:
        body = request.json()
    except NotJsonError as error:
        return message(400, f"Malformed request: {error}")
    problem = check(body)
    if problem or not isinstance(body, dict):
        return message(400, f"Malformed request: {problem}")
    return body
