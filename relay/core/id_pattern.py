"""The pattern of a ticket id: a regular expression whose match takes a limited time for any pattern and any text."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from itertools import pairwise

import regex

#: Longest time of a match (seconds of the process time of all threads).
_MAX_TIME = 0.1
#: With more unbounded repeats, even a pattern without repeated groups can be slow.
_MAX_UNBOUNDED = 2
#: Maximum number of characters and classes in a pattern, repeats counted.
_MAX_SIZE = 10_000
_TOO_LARGE = "the repeats are too long: an id has at most 255 characters"
#: The parts that a pattern's size counts: an escape, a class, a counted repeat, or any character.
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{[0-9]*(?:,[0-9]*)?\}|.", re.DOTALL)
#: The error messages of `re` in plain words.
_SENTENCES = {
    "unterminated character set": "this [ is not closed",
    "missing ), unterminated subpattern": "this ( is not closed",
    "unbalanced parenthesis": "this ) has no matching (",
    "nothing to repeat": "there is nothing to repeat before this character",
    "multiple repeat": "this character repeats a repeat",
    "min repeat greater than max repeat": "the smaller number must be first in {…}",
    "bad escape (end of pattern)": "there is nothing after the last \\",
}


class PatternError(ValueError):
    """An invalid regular expression: the problem, and the index of the character (from 0), if there is one."""

    def __init__(self, problem: str, at: int | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.at = at


class TooSlowError(Exception):
    """The match took too long, so it is unknown whether the pattern matches."""


@dataclass(frozen=True, slots=True)
class IdPattern:
    """A regular expression in the syntax of Python's `re`. Patterns with the same text are equal."""

    pattern: str
    _compiled: regex.Pattern[str] = field(compare=False, repr=False)
    #: The same pattern compiled by `re`, if it is always fast: it needs no timeout.
    _plain: re.Pattern[str] | None = field(compare=False, repr=False)

    def matches(self, text: str) -> bool:
        """Return whether `text` contains a match. Other threads continue to run.

        Raises:
            TooSlowError: the match took too long.
        """
        if self._plain is not None:
            return self._plain.search(text) is not None
        try:
            return self._compiled.search(text, timeout=_MAX_TIME, concurrent=True) is not None
        except TimeoutError:
            raise TooSlowError from None


def compile_pattern(text: str) -> IdPattern:
    """Compile `text`.

    `re` decides what is valid, because people know its syntax. `regex` matches, because it has a timeout.

    Raises:
        PatternError: `text` is not a valid pattern; the error says why and where.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "[[" may get another meaning in a later Python
        try:
            compiled = re.compile(text)
            _check_size(text)
            return IdPattern(text, regex.compile(text, regex.VERSION0), compiled if _is_plain(text) else None)
        except re.error as error:
            raise PatternError(_SENTENCES.get(error.msg, error.msg), error.pos) from None
        except regex.error:
            raise PatternError("it uses syntax that the relay does not support", None) from None
        except OverflowError:
            raise PatternError(_TOO_LARGE, None) from None
        except RecursionError:
            raise PatternError("groups are nested too deeply", None) from None


def _is_plain(pattern: str) -> bool:
    """Return whether a pattern repeats no group and refers to none: its time is at most quadratic in the length of the text."""
    parts = [found[0] for found in _PART.finditer(pattern)]
    unbounded = sum(part in "*+" or part.endswith(",}") for part in parts)
    repeats = any(part == ")" and (following in "*+" or following[0] == "{") for part, following in pairwise(parts))
    refers = any(part[0] == "\\" and part[1].isdigit() for part in parts) or "(?P=" in pattern or "(?(" in pattern
    return unbounded <= _MAX_UNBOUNDED and not repeats and not refers


def _check_size(pattern: str) -> None:
    """Raise PatternError if counted repeats multiply: `regex` expands them, (a{100}){100} ten thousand times."""
    sizes, last = [0], 0
    for found in _PART.finditer(pattern):
        part = found[0]
        if part == "(":
            sizes.append(0)
            continue
        if part == ")":
            last = sizes.pop() if len(sizes) > 1 else 0
        elif part[0] == "{" and len(part) > 1:
            last *= max([int(number) for number in re.findall("[0-9]+", part)], default=1) - 1
        else:
            last = 1
        sizes[-1] += last
        if sizes[-1] > _MAX_SIZE:
            raise PatternError(_TOO_LARGE, None)
