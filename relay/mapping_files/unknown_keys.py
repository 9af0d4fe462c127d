"""Unknown keys and the known key that was probably intended. `printable_keys` decides whether a message can name such a key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Self

#: A word that differs from the intended one in this many characters can contain a secret.
_SECRET_LENGTH = 4
_WORD = re.compile(r"[\w-]+")


class UnknownKey(str):
    """A message about `key`. The message does not contain the key, which can be a secret in the wrong place."""

    __slots__ = ("key",)
    key: str

    def __new__(cls, key: str, hint: str) -> Self:
        """`hint`: what to write instead."""
        self = super().__new__(cls, f"unknown key; {hint}")
        self.key = key
        return self

    def with_key(self) -> str:
        """Return the message with the key in it."""
        return str(self).replace("unknown key", f"unknown key '{self.key}'", 1)


def explain_unknown(key: str, known: Collection[str]) -> UnknownKey:
    """Return a message about `key` with the known key that was probably intended, or with all known keys."""
    prefix = re.match(rf"({'|'.join(sorted(known, key=len, reverse=True))})[\s:=]", key)
    if prefix:
        return UnknownKey(key, f"a colon and a space are missing after '{prefix[1]}'")
    near = difflib.get_close_matches(key, known, n=1)
    return UnknownKey(key, f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(sorted(known))}")


@lru_cache(maxsize=16_384)  # a line is shown once for each of its faults, and can have thousands of keys
def resembles(word: str, known: frozenset[str]) -> bool:
    """Return whether `word` is one of `known`, a misspelling of one, or too short to contain a secret."""
    if word in known or len(word) < _SECRET_LENGTH:
        return True
    near = difflib.get_close_matches(word, known, n=1)
    if not near or not _WORD.fullmatch(word):
        return False
    common = difflib.SequenceMatcher(None, word, near[0]).get_matching_blocks()
    return len(word) - sum(block.size for block in common) < _SECRET_LENGTH
