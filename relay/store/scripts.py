"""The Lua scripts beside this file: loaded once, called by their SHA."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def script_text(name: str) -> str:
    """Return the text of `lua/<name>.lua` behind the prelude that all scripts of an integration share."""
    folder = files(__package__).joinpath("lua")
    return folder.joinpath("prelude.lua").read_text("utf-8") + folder.joinpath(f"{name}.lua").read_text("utf-8")
