"""The key paths of a JMESPath expression: where a payload must have a value so that the expression finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

#: A key that has another meaning in JavaScript.
_UNUSABLE = "__proto__"


@dataclass(frozen=True, slots=True)
class KeyPath:
    """The keys from the payload to a value. With `each`: to a list, and from each of its items to a value."""

    keys: tuple[str, ...]
    each: tuple[str, ...] | None = None


def key_paths_of(expression: str) -> list[KeyPath]:
    """Return the paths that `expression` tries, in order. It understands names, dots, lists and alternatives (`||`).

    Anything else, such as a function or a filter, has no path.
    """
    try:
        return _find_paths(jmespath.compile(expression).parsed)
    except (JMESPathError, RecursionError):
        return []


def _find_paths(node: Mapping[str, Any]) -> list[KeyPath]:
    match node["type"], node["children"]:
        case "or_expression", [first, second]:
            return [*_find_paths(first), *_find_paths(second)]
        case "projection", [items, below]:
            keys, each = _keys(items), _keys(below)
            return [] if keys is None or each is None else [KeyPath(keys, each)]
        case _:
            keys = _keys(node)
            return [] if keys is None else [KeyPath(keys)]


def _keys(node: Mapping[str, Any]) -> tuple[str, ...] | None:
    match node["type"], node["children"]:
        case "field", _:
            return None if node["value"] == _UNUSABLE else (str(node["value"]),)
        case "current" | "identity", _:
            return ()
        case "flatten", [child]:
            return _keys(child)
        case "subexpression" | "pipe", steps:
            parts = [_keys(step) for step in steps]
            return None if None in parts else tuple(key for part in parts if part for key in part)
        case _:
            return None
