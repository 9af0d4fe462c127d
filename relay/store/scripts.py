"""The Lua scripts in `lua/`. Redis loads each once and runs it by its SHA-1."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

#: Scripts that can write while Redis's memory is full, because they empty the queues: otherwise a full Redis would stay full.
#: The intake's scripts, accept and rate, are not among them.
_DRAINING = frozenset({"take", "settle", "reclaim", "discard", "sweep", "circuit", "trail", "lookups", "publisher"})


@cache
def script_text(name: str) -> str:
    """Return the text of `lua/<name>.lua`, preceded by `lua/prelude.lua`, which all scripts share."""
    folder = files(__package__).joinpath("lua")
    shebang = "#!lua flags=allow-oom\n" if name in _DRAINING else ""
    return (
        shebang + folder.joinpath("prelude.lua").read_text("utf-8") + folder.joinpath(f"{name}.lua").read_text("utf-8")
    )
