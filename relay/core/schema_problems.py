"""Describes the errors that marshmallow finds in a body, with one phrase for each."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any


def describe_problems(problems: Mapping[Any, Any], known: Collection[str] = (), path: str = "") -> Iterator[str]:
    """Yield a phrase for each of the `problems` that `Schema.validate` returned; `known` names are suggested for unknown ones."""
    for name, found in problems.items():
        if isinstance(found, Mapping):
            yield from describe_problems(found, (), path if name == "_schema" else f"{path}{name}.")
        elif name == "_schema":
            yield f"{path.rstrip('.') or 'the body'}: expected a JSON object"
        elif found == ["Unknown field."]:
            meant = difflib.get_close_matches(str(name), known, 1)
            yield f"{path}{name} is unknown" + (f"; did you mean {meant[0]}?" if meant else "")
        elif found == ["Missing data for required field."]:
            yield f"{path}{name} is missing"
        else:
            yield f"{path}{name}: {' '.join(map(str, found))}"
