"""What a ticket id looks like: what `re` takes, in a time that is bounded."""

from __future__ import annotations

import re
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.id_pattern import PatternError, TooSlowError, compile_pattern

#: Takes days, whatever reads it: `regex` sees through the simpler ones.
SLOW = "^(a|aa)+$"
TOO_LARGE = "the repeats are too long: an id has at most 255 characters"
SLOW_ID = "a" * 200 + "!"
SCRAPS = st.sampled_from(
    [
        *"ab^$.|()[]{}*+?\\-&~1#, é",
        "[a-z]",
        "[^a]",
        "[[",
        "(?:",
        "(?i:",
        "(?=",
        "(?<!",
        "(?P<n>",
        "(?P=n)",
        "\\d",
        "\\w",
        "\\s",
        "\\b",
        "\\Z",
        "{2}",
        "{1,3}",
        "{,2}",
        "\\1",
        "(?i)",
        "(?>",
        "*+",
        "\\N{LATIN SMALL LETTER A}",
        "\\x41",
    ]
)


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("^[0-9a-f]{32}$", "9d385017c611228701d22104cc95c371", True),
        ("^[0-9a-f]{32}$", "INC0010023", False),
        ("", "anything", True),
        ("INC", "xINCx", True),
        ("^(?P<kind>INC|REQ)[0-9]+$", "REQ7", True),
        ("(?i)^inc", "INC7", True),
        (r"^[[a]+$", "[a", True),
        (SLOW, "a" * 200, True),
    ],
)
def test_a_pattern_matches_where_it_is_found(pattern: str, text: str, is_match: bool) -> None:
    assert compile_pattern(pattern).matches(text) is is_match


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(SCRAPS, max_size=8).map("".join), st.sampled_from(["a", "ab", "AB", "a1 b", "{2}", "[a", "é"]))
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_pattern_of_re_is_taken_and_means_the_same(pattern: str, text: str) -> None:
    try:
        expected = re.search(pattern, text) is not None
    except re.error:
        with pytest.raises(PatternError):
            compile_pattern(pattern)
        return

    assert compile_pattern(pattern).matches(text) is expected


def test_a_pattern_that_takes_too_long_is_given_up_and_lets_other_threads_go_on() -> None:
    pattern = compile_pattern(SLOW)
    done = threading.Event()
    turns = 0

    def go_on() -> None:
        nonlocal turns
        while not done.wait(0.001):
            turns += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    began = time.monotonic()
    with pytest.raises(TooSlowError):
        pattern.matches(SLOW_ID)
    took = time.monotonic() - began
    done.set()
    thread.join()

    assert took < 1
    assert turns > 3


def test_patterns_are_compared_by_their_text() -> None:
    assert compile_pattern("a") == compile_pattern("a")
    assert compile_pattern("a") != compile_pattern("b")


@pytest.mark.parametrize(
    ("pattern", "at", "problem"),
    [
        ("a[b", 1, "this [ is not closed"),
        ("a(b", 1, "this ( is not closed"),
        ("ab)", 2, "this ) has no matching ("),
        ("+a", 0, "there is nothing to repeat before this character"),
        ("a**", 2, "this character repeats a repeat"),
        ("a\\", 1, "there is nothing after the last \\"),
        ("a{3,2}", 2, "the smaller number must be first in {…}"),
        ("a{9999999999999}", None, TOO_LARGE),
    ],
)
def test_a_pattern_that_is_none_says_why_and_where(pattern: str, at: int | None, problem: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)

    assert (caught.value.problem, caught.value.at) == (problem, at)


@pytest.mark.parametrize(
    "pattern", ["(?:(?:(?:a{100}){100}){100}){100}", "((a{9}b){99,999}[c]{9}){99}", "[(]{9999}{2}", "a{20000}"]
)
def test_repeats_that_multiply_are_refused_before_they_are_written_out(pattern: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)

    assert caught.value.at is None or "repeats" in caught.value.problem


@pytest.mark.parametrize(
    "pattern",
    [r"^(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})$", r"^[()\]]{255}\({255}$", "^.{1,255}$", "(((a{9}){9}){9})"],
)
def test_usual_repeats_are_taken(pattern: str) -> None:
    assert compile_pattern(pattern).pattern == pattern


def test_groups_too_deep_are_refused() -> None:
    with pytest.raises(PatternError, match="nested too deeply"):
        compile_pattern("(" * 600 + "a" + ")" * 600)


@pytest.mark.parametrize(
    "pattern", ["^[0-9a-f]{32}$", "^SX-[0-9]{7}$", "^(INC|REQ)?[0-9]+$", r"^[A-Z]+-\d+$", r"^\(x\)+$", "[)+]+"]
)
def test_a_usual_pattern_is_never_too_slow_however_busy_the_process_is(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    outcomes: set[object] = set()

    def match() -> None:
        for _ in range(500):
            try:
                outcomes.add(compiled.matches("9d385017c611228701d22104cc95c371" * 7))
            except TooSlowError as error:
                outcomes.add(error)

    assert compiled._plain is not None
    threads = [threading.Thread(target=match) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes <= {True, False}


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "^(a|aa)*$", "(a{2}){3}", r"(a)\1", "a+b+c+", "(?P<x>a)(?P=x)", "^(a){1,}$"]
)
def test_a_pattern_that_could_take_long_is_watched(pattern: str) -> None:
    assert compile_pattern(pattern)._plain is None
