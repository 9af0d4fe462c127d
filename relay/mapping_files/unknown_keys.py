"""Keys that nobody knows: which one was meant. Whether such a key may be told at all, `naming` decides."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Self

#: A name with as many characters of its own, beside those of the key that was meant, may be a secret.
_SECRETIVE = 4
_WORD = re.compile(r"[\w-]+")


class UnknownKey(str):
    """A message about `key`, which is not in the message: it may be a secret."""

    __slots__ = ("key",)
    key: str

    def __new__(cls, key: str, hint: str) -> Self:
        """`hint`: what to do instead."""
        self = super().__new__(cls, f"unknown key; {hint}")
        self.key = key
        return self

    def named(self) -> str:
        """Return the message with the key in it."""
        return str(self).replace("unknown key", f"unknown key '{self.key}'", 1)


def explain_unknown(key: str, known: Collection[str]) -> UnknownKey:
    """Return what is wrong with `key`: the known key that it was meant to be, or all of them."""
    begun = re.match(rf"({'|'.join(sorted(known, key=len, reverse=True))})[\s:=]", key)
    if begun:
        return UnknownKey(key, f"a colon with a space after it is missing behind '{begun[1]}'")
    near = difflib.get_close_matches(key, known, n=1)
    return UnknownKey(key, f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(sorted(known))}")


@lru_cache(maxsize=16_384)  # a line is shown once for each of its faults, and may have thousands of keys
def resembles(word: str, known: frozenset[str]) -> bool:
    """Tell whether `word` is one of `known`, or one with a slip of the pen, or too short: then it is no secret."""
    if word in known or len(word) < _SECRETIVE:
        return True
    near = difflib.get_close_matches(word, known, n=1)
    if not near or not _WORD.fullmatch(word):
        return False
    common = difflib.SequenceMatcher(None, word, near[0]).get_matching_blocks()
    return len(word) - sum(block.size for block in common) < _SECRETIVE
