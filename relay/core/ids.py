"""Ids that sort by their time of creation: ULIDs (github.com/ulid/spec), 26 characters."""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Pairs of characters, for speed: every webhook gets an id.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_TIME_CHARACTERS = 10
#: The last Unix millisecond that an id can represent.
_LAST = (1 << 48) - 1
LENGTH = 26


def make_id(at_ms: int, entropy: bytes) -> str:
    """Return a new id for the time `at_ms` (Unix milliseconds), with 10 random bytes."""
    number = (at_ms << 80) | int.from_bytes(entropy[:10], "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def first_id_at(at_ms: int) -> str:
    """Return the smallest possible id of the time `at_ms`, or of the nearest time that an id can represent."""
    return make_id(min(max(at_ms, 0), _LAST), bytes(10))


def is_id(text: str) -> bool:
    """Return whether `text` has the form of an id."""
    return len(text) == LENGTH and text[0] <= "7" and all(character in _VALUES for character in text)


def id_time(id_text: str) -> int:
    """Return the time of an id in Unix milliseconds."""
    number = 0
    for character in id_text[:_TIME_CHARACTERS]:
        number = number * 32 + _VALUES[character]
    return number
