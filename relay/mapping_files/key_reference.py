"""Writes the tables of keys in `docs/mapping-files/reference.md` from the declarations in `relay.core`: `make generated`.

The page has a pair of comments for each table; everything outside them is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from relay.core.authentication import AUTHENTICATION_TYPES, authentication_meaning
from relay.core.integration import Integration
from relay.core.mapping_blocks import TableBlock
from relay.core.mapping_key import AnyKind, Block, Choice, Duration, Key, Kind, ListOf, Presence, Range, keys_of

_REGION = re.compile(r"(<!-- generated: keys of (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
#: Keys that are not blocks, but have a section of the page.
_WITH_SECTION = {Kind.AUTHENTICATIONS, Kind.TABLES}


def key_tables() -> dict[str, str]:
    """Return the Markdown table of each block by its name; `file` has the keys at the top level."""
    tables = {
        "file": _table(_rows("", Integration, nested=False)),
        "tables": _table(_rows("tables.<table>.", TableBlock)),
    }
    for field, key in keys_of(Integration):
        name = key.name or field.name
        if isinstance(key.kind, Block | ListOf):
            tables[name] = _table(_rows(_prefix(name, key.kind), key.kind.keys))
    for name, block in AUTHENTICATION_TYPES.items():
        kind = f"| `auth[].type` | `{name}` | required | {authentication_meaning(block)} |"
        tables[name] = _table([kind, *_rows("auth[].", block)])
    return tables


def update_page(text: str) -> str:
    """Return the reference page with current tables."""
    tables = key_tables()
    found = [match["name"] for match in _REGION.finditer(text)]
    if sorted(found) != sorted(tables):
        raise SystemExit(f"the page must have a place for each of these tables: {', '.join(sorted(tables))}")
    return _REGION.sub(lambda match: match[1] + tables[match["name"]] + match[3], text)


def _table(rows: Iterable[str]) -> str:
    return "\n".join(["", "| key | value | default | meaning |", "|---|---|---|---|", *rows, "", ""])


def _rows(prefix: str, block: type[Any], *, nested: bool = True) -> Iterator[str]:
    for field, key in keys_of(block):
        name = key.name or field.name
        spelt = f"`{prefix}{name}`"
        has_section = not nested and (isinstance(key.kind, Block | ListOf) or key.kind in _WITH_SECTION)
        cells = (f"[{spelt}](#{name})" if has_section else spelt, _value(key.kind), _default(key), key.meaning)
        row = " | ".join(cell.replace("|", "\\|") for cell in cells)
        yield f"| {row} |"
        if nested and isinstance(key.kind, Block | ListOf):
            yield from _rows(_prefix(prefix + name, key.kind), key.kind.keys)


def _prefix(name: str, kind: Block | ListOf) -> str:
    return f"{name}[]." if isinstance(kind, ListOf) else f"{name}."


def _value(kind: AnyKind) -> str:
    match kind:
        case Kind():
            return kind.value
        case Choice(words):
            *others, last = (f"`{word}`" for word in words)
            return f"{', '.join(others)} or {last}"
        case Duration():
            return f"duration, {kind.bounds}"
        case Range():
            return f"whole number, {kind.bounds}"
        case Block():
            return "block"
        case ListOf():
            return "list of blocks"


def _default(key: Key) -> str:
    match key.default:
        case Presence():
            return key.default.value
        case bool():
            return "true" if key.default else "false"
        case str() | int() if key.default != "":
            return str(key.default)
        case None | "" | () | {}:
            return "none"
        case _:
            return "see its keys"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(update_page(page.read_text("utf-8")), "utf-8")
