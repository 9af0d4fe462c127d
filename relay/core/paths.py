"""Field paths: JMESPath (jmespath.org), compiled once. Plain names and alternatives of them are evaluated directly, for speed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from relay.core.path_errors import PathError, check_calls, explain_path_error

_NAMES = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"
_CHOICE = re.compile(rf"(?:{_NAMES}|@)(?: \|\| (?:{_NAMES}|@))*")
_JSON_TYPES = (str, int, float, bool, list, dict, type(None))


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A compiled expression. `search` returns what it finds in a payload, or None."""

    expression: str
    search: Callable[[Any], Any] = field(compare=False, repr=False)


def compile_path(expression: str) -> FieldPath:
    """Compile `expression`.

    Raises:
        PathError: `expression` is invalid; the error says why and where.
    """
    if _CHOICE.fullmatch(expression):
        return FieldPath(expression, _chooser([_walker(names) for names in expression.split(" || ")]))
    try:
        compiled = jmespath.compile(expression)
        _descend(compiled.parsed)
        check_calls(expression)
    except JMESPathError as error:
        raise explain_path_error(error, expression) from None
    except RecursionError:
        raise PathError("the JMESPath expression is nested too deeply") from None

    def search(payload: Any) -> Any:
        try:
            found = compiled.search(payload)
        except (JMESPathError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError):
            return None  # a function that does not fit the types of this payload finds nothing
        return found if isinstance(found, _JSON_TYPES) else None  # `&a` is an expression, not a value

    return FieldPath(expression, search)


def _descend(node: Mapping[str, Any]) -> None:
    """Raise RecursionError if a search would."""
    for child in node["children"]:
        if isinstance(child, dict):
            _descend(child)


def _chooser(searches: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return a search for the first result that JMESPath does not count as false, or else the last result."""
    if len(searches) == 1:
        return searches[0]

    def search_all(payload: Any) -> Any:
        found = None
        for search in searches:
            found = search(payload)
            if found or (found == 0 and found is not False):
                break
        return found

    return search_all


def _walker(path: str) -> Callable[[Any], Any]:
    names = [] if path == "@" else path.split(".")

    def search(payload: Any) -> Any:
        for name in names:
            if not isinstance(payload, dict):
                return None
            payload = payload.get(name)
        return payload

    return search
