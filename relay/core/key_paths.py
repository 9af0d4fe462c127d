"""The inverse of a field path: where a value must stand in a payload for the path to find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

#: A key that JavaScript takes for something else.
_UNUSABLE = "__proto__"


@dataclass(frozen=True, slots=True)
class KeyPath:
    """Keys from the payload down to a value; with `each` down to a list, and from each of its items down to a value."""

    keys: tuple[str, ...]
    each: tuple[str, ...] | None = None


def key_paths_of(expression: str) -> list[KeyPath]:
    """Return where `expression` looks, in its order: names and dots, lists of them, and alternatives (`||`).

    What is more than that, such as a function or a filter, yields no place.
    """
    try:
        return _places(jmespath.compile(expression).parsed)
    except (JMESPathError, RecursionError):
        return []


def _places(node: Mapping[str, Any]) -> list[KeyPath]:
    match node["type"], node["children"]:
        case "or_expression", [first, second]:
            return [*_places(first), *_places(second)]
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
