"""Field paths: JMESPath (jmespath.org), compiled once; names and choices of them take a shorter way to the same answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from relay.core.path_errors import PathError, check_calls, explain

_NAMES = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"
_CHOICE = re.compile(rf"(?:{_NAMES}|@)(?: \|\| (?:{_NAMES}|@))*")
_JSON_TYPES = (str, int, float, bool, list, dict, type(None))


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A compiled expression; `search` returns what it finds in a payload, or None."""

    expression: str
    search: Callable[[Any], Any] = field(compare=False, repr=False)


def compile_path(expression: str) -> FieldPath:
    """Compile `expression`; PathError tells what is wrong with it, and where."""
    if _CHOICE.fullmatch(expression):
        return FieldPath(expression, _chooser([_walker(one) for one in expression.split(" || ")]))
    try:
        compiled = jmespath.compile(expression)
        _descend(compiled.parsed)
        check_calls(expression)
    except JMESPathError as error:
        raise explain(error, expression) from None
    except RecursionError:
        raise PathError("not a JMESPath expression that can be read: it is too deep") from None

    def search(payload: Any) -> Any:
        try:
            found = compiled.search(payload)
        except (JMESPathError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError):
            return None  # a function that does not suit this payload's types finds nothing in it
        return found if isinstance(found, _JSON_TYPES) else None  # `&a` is an expression, and no value

    return FieldPath(expression, search)


def _descend(node: Mapping[str, Any]) -> None:
    """Raise RecursionError where a search would."""
    for child in node["children"]:
        if isinstance(child, dict):
            _descend(child)


def _chooser(ways: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return a search for the first that `ways` find and that is not false, as JMESPath has it; or what the last one finds."""
    if len(ways) == 1:
        return ways[0]

    def search(payload: Any) -> Any:
        found = None
        for way in ways:
            found = way(payload)
            if found or (found == 0 and found is not False):
                break
        return found

    return search


def _walker(path: str) -> Callable[[Any], Any]:
    names = [] if path == "@" else path.split(".")

    def search(payload: Any) -> Any:
        for name in names:
            if not isinstance(payload, dict):
                return None
            payload = payload.get(name)
        return payload

    return search
