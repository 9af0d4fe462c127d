"""The Lua scripts beside this file: loaded once, called by their SHA."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

#: What empties the queues may write while memory is full: else a full Redis would stay full. Intake may not.
_DRAINING = frozenset({"take", "settle", "reclaim", "discard", "sweep", "circuit", "trail", "lookups", "publisher"})


@cache
def script_text(name: str) -> str:
    """Return the text of `lua/<name>.lua` behind the prelude that all scripts of an integration share."""
    folder = files(__package__).joinpath("lua")
    shebang = "#!lua flags=allow-oom\n" if name in _DRAINING else ""
    return (
        shebang + folder.joinpath("prelude.lua").read_text("utf-8") + folder.joinpath(f"{name}.lua").read_text("utf-8")
    )
