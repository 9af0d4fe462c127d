"""Patterns of ticket ids: the syntax of `re`, with a limited time for each match."""

from __future__ import annotations

import re
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.id_pattern import PatternError, TooSlowError, compile_pattern

#: A match takes days in `re` and in `regex`, which optimises simpler patterns.
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
def test_a_pattern_matches_anywhere_in_the_text(pattern: str, text: str, is_match: bool) -> None:
    assert compile_pattern(pattern).matches(text) is is_match


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(SCRAPS, max_size=8).map("".join), st.sampled_from(["a", "ab", "AB", "a1 b", "{2}", "[a", "é"]))
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_patterns_of_re_are_accepted_and_match_the_same(pattern: str, text: str) -> None:
    try:
        expected = re.search(pattern, text) is not None
    except re.error:
        with pytest.raises(PatternError):
            compile_pattern(pattern)
        return

    assert compile_pattern(pattern).matches(text) is expected


def test_a_slow_pattern_times_out_without_blocking_other_threads() -> None:
    pattern = compile_pattern(SLOW)
    done = threading.Event()
    turns = 0

    def count_turns() -> None:
        nonlocal turns
        while not done.wait(0.001):
            turns += 1

    thread = threading.Thread(target=count_turns)
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
def test_the_error_of_an_invalid_pattern_says_why_and_where(pattern: str, at: int | None, problem: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)

    assert (caught.value.problem, caught.value.at) == (problem, at)


@pytest.mark.parametrize(
    "pattern", ["(?:(?:(?:a{100}){100}){100}){100}", "((a{9}b){99,999}[c]{9}){99}", "[(]{9999}{2}", "a{20000}"]
)
def test_multiplying_repeats_are_refused_before_they_are_expanded(pattern: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)

    assert caught.value.at is None or "repeats" in caught.value.problem


@pytest.mark.parametrize(
    "pattern",
    [r"^(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})$", r"^[()\]]{255}\({255}$", "^.{1,255}$", "(((a{9}){9}){9})"],
)
def test_common_repeats_are_accepted(pattern: str) -> None:
    assert compile_pattern(pattern).pattern == pattern


def test_deeply_nested_groups_are_refused() -> None:
    with pytest.raises(PatternError, match="nested too deeply"):
        compile_pattern("(" * 600 + "a" + ")" * 600)


@pytest.mark.parametrize(
    "pattern", ["^[0-9a-f]{32}$", "^SX-[0-9]{7}$", "^(INC|REQ)?[0-9]+$", r"^[A-Z]+-\d+$", r"^\(x\)+$", "[)+]+"]
)
def test_a_simple_pattern_never_times_out_in_a_busy_process(pattern: str) -> None:
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
def test_a_pattern_that_can_be_slow_has_a_timeout(pattern: str) -> None:
    assert compile_pattern(pattern)._plain is None
