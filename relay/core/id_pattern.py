"""What a ticket id looks like: a regular expression that cannot hold anybody up, whatever it is and whatever is sent."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from itertools import pairwise

import regex

#: A match that takes longer is given up (seconds of the process, of all its threads).
_MOST_TIME = 0.1
#: With more of them even a pattern without repeated groups takes its time.
_MOST_UNBOUNDED = 2
#: Characters and classes that a pattern may have, repeats counted.
_MOST_SIZE = 10_000
_TOO_LARGE = "its repeats come to more than an id can have: an id has at most 255 characters"
#: What a pattern's size is counted by: an escape, a class, a counted repeat, or any character.
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{[0-9]*(?:,[0-9]*)?\}|.", re.DOTALL)
#: What `re` says, in words that need no knowledge of it.
_SENTENCES = {
    "unterminated character set": "this [ is not closed",
    "missing ), unterminated subpattern": "this ( is not closed",
    "unbalanced parenthesis": "this ) closes nothing",
    "nothing to repeat": "nothing stands before this sign that could be repeated",
    "multiple repeat": "this sign repeats what is repeated already",
    "min repeat greater than max repeat": "the smaller number comes first in {…}",
    "bad escape (end of pattern)": "nothing stands behind the last \\",
}


class PatternError(ValueError):
    """A regular expression that is none: what is wrong with it, and at which of its characters (from 0), if at one."""

    def __init__(self, problem: str, at: int | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.at = at


class TooSlowError(Exception):
    """The pattern takes too long on this id: nothing is known of whether it matches."""


@dataclass(frozen=True, slots=True)
class IdPattern:
    """A regular expression in the syntax of Python's `re`. Two of the same text are equal."""

    pattern: str
    _compiled: regex.Pattern[str] = field(compare=False, repr=False)
    #: The same, where it cannot take long: nothing needs to watch it then.
    _plain: re.Pattern[str] | None = field(compare=False, repr=False)

    def matches(self, text: str) -> bool:
        """Tell whether the pattern is found in `text`. Other threads go on meanwhile.

        Raises:
            TooSlowError: it cannot be told in time.
        """
        if self._plain is not None:
            return self._plain.search(text) is not None
        try:
            return self._compiled.search(text, timeout=_MOST_TIME, concurrent=True) is not None
        except TimeoutError:
            raise TooSlowError from None


def compile_pattern(text: str) -> IdPattern:
    """Compile `text`; PatternError tells what is wrong with it, and where.

    `re` judges what a pattern is, for its syntax is the one that people know; `regex` matches, for it can be stopped.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "[[" may come to mean something else one day
        try:
            compiled = re.compile(text)
            _check_size(text)
            return IdPattern(text, regex.compile(text, regex.VERSION0), compiled if _is_plain(text) else None)
        except re.error as error:
            raise PatternError(_SENTENCES.get(error.msg, error.msg), error.pos) from None
        except regex.error:
            raise PatternError("the relay cannot use all of what stands in it", None) from None
        except OverflowError:
            raise PatternError(_TOO_LARGE, None) from None
        except RecursionError:
            raise PatternError("too many groups stand inside each other", None) from None


def _is_plain(pattern: str) -> bool:
    """Tell whether a pattern repeats no group and refers to none: its work grows with the square of an id's length at most."""
    parts = [found[0] for found in _PART.finditer(pattern)]
    unbounded = sum(part in "*+" or part.endswith(",}") for part in parts)
    repeats = any(one == ")" and (other in "*+" or other[0] == "{") for one, other in pairwise(parts))
    refers = any(part[0] == "\\" and part[1].isdigit() for part in parts) or "(?P=" in pattern or "(?(" in pattern
    return unbounded <= _MOST_UNBOUNDED and not repeats and not refers


def _check_size(pattern: str) -> None:
    """Raise PatternError where counted repeats multiply: `regex` writes them out, (a{100}){100} ten thousand times."""
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
        if sizes[-1] > _MOST_SIZE:
            raise PatternError(_TOO_LARGE, None)
