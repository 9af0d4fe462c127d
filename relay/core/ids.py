"""Ids that sort by the time they were made: ULIDs (github.com/ulid/spec), 26 characters."""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Two characters at once: an id is made for every webhook.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_TIME_CHARACTERS = 10
#: The last Unix millisecond that an id has room for.
_LAST = (1 << 48) - 1
LENGTH = 26


def make_id(at_ms: int, entropy: bytes) -> str:
    """Return the id of something made at `at_ms` (Unix milliseconds), from 10 random bytes."""
    number = (at_ms << 80) | int.from_bytes(entropy[:10], "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def first_id_at(at_ms: int) -> str:
    """Return the least id of what is made at `at_ms` or later; of a time that no id has, the nearest that one has."""
    return make_id(min(max(at_ms, 0), _LAST), bytes(10))


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of an id."""
    return len(text) == LENGTH and text[0] <= "7" and all(character in _VALUES for character in text)


def id_time(an_id: str) -> int:
    """Return the Unix milliseconds at which `an_id` was made."""
    number = 0
    for character in an_id[:_TIME_CHARACTERS]:
        number = number * 32 + _VALUES[character]
    return number
