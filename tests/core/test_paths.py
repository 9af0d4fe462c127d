"""Field paths: JMESPath, and the direct evaluation of plain names, which must find the same."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath.functions import Functions
from properties import examples

from relay.core.path_errors import PathError
from relay.core.paths import FieldPath, compile_path

HYPHEN = "a name that contains - must be in double quotes, such as '\"new-values\".state'"
LETTERS = "a name with letters other than a to z must be in double quotes, such as '\"zustände\".state'"
NAMES = st.sampled_from(["a", "b", "null", "true", "_c", "D1"])
PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("expression", "payload", "found"),
    [
        ("state", {"state": "6"}, "6"),
        ("state", {"state": 0}, 0),
        ("state", {}, None),
        ("state", None, None),
        ("state", ["6"], None),
        ("state", "state", None),
        ("resolved_by.email", {"resolved_by": {"email": "ann@example.com"}}, "ann@example.com"),
        ("resolved_by.email", {"resolved_by": "ann"}, None),
        ("resolved_by.email", {"resolved_by": None}, None),
        ("@", [1], [1]),
        ("result || @", {"result": {"a": 1}}, {"a": 1}),
        ("result || @", {"a": 1}, {"a": 1}),
        ("records[].fields", {"records": [{"fields": 1}, {}, {"fields": 2}]}, [1, 2]),
        (
            "records[?type=='incident'] | [0].id",
            {"records": [{"type": "x", "id": 1}, {"type": "incident", "id": 2}]},
            2,
        ),
        ('"sys id"', {"sys id": "x"}, "x"),
        ("join('-', [a, b])", {"a": "x", "b": "y"}, "x-y"),
        ("to_string(state)", {"state": 6}, "6"),
    ],
)
def test_a_path_finds_the_same_as_jmespath(expression: str, payload: Any, found: Any) -> None:
    assert compile_path(expression).search(payload) == found


@settings(deadline=None)
@given(
    st.lists(st.just("@") | st.lists(NAMES, min_size=1, max_size=4).map(".".join), min_size=1, max_size=3).map(
        " || ".join
    ),
    PAYLOADS,
)
def test_names_and_alternatives_find_the_same_as_jmespath(expression: str, payload: Any) -> None:
    assert compile_path(expression).search(payload) == jmespath.search(expression, payload)


@pytest.mark.parametrize(
    "expression",
    [
        "length(state)",
        "join('-', state)",
        "sort(state)",
        "sort_by(state, &a)",
        "max(state)",
        "to_number(state)",
        "keys(state)",
        "sum(state)",
        "avg(state)",
        "starts_with(state, state)",
        "state[::0]",
        "state[?a > `1`] | [0].b",
        "merge(state, @)",
        "map(&length(@), state)",
    ],
)
@pytest.mark.parametrize(
    "state", [None, True, 6, "6", "", [], ["6", 6], [None], {}, {"a": []}, [{"a": 1}, {"a": "x"}]], ids=repr
)
def test_a_function_that_does_not_fit_a_payload_finds_nothing(expression: str, state: Any) -> None:
    path = compile_path(expression)

    path.search({"state": state})  # it can find anything, but must return


def test_a_function_on_the_wrong_type_finds_nothing() -> None:
    assert compile_path("length(state)").search({"state": 6}) is None


def test_paths_are_compared_by_their_expressions() -> None:
    assert compile_path("a.b") == compile_path("a.b") == FieldPath("a.b", lambda _: None)
    assert compile_path("a.b") != compile_path("a.c")


@pytest.mark.parametrize(
    ("expression", "at", "complaint"),
    [
        ("a.", 2, "not a JMESPath expression: it ends too early"),
        ("a..b", 2, "not a JMESPath expression: unexpected '.'"),
        ("a ]", 2, "not a JMESPath expression: unexpected ']'"),
        ("a-b", 1, f"not a JMESPath expression: {HYPHEN}"),
        (
            "a.$",
            2,
            "not a JMESPath expression: a path starts with the name of a field, without $ or $.",
        ),
        ("/a/b", 0, "not a JMESPath expression: names are separated by a dot, not by /"),
        ("a[?b = `6`]", 5, "not a JMESPath expression: a comparison is written with =="),
        ("`a", 0, "not a JMESPath expression: this quote is not closed"),
        ("ä.b", 0, f"not a JMESPath expression: {LETTERS}"),
        (
            "a[?b] c",
            6,
            "not a JMESPath expression: unexpected name or value: is a dot or an operator missing before it?",
        ),
        ("a | to_string(b, c)", 4, "JMESPath's to_string() takes 1 argument, not 2"),
        ("join('(,', a) | join(@)", 16, "JMESPath's join() takes 2 arguments, not 1"),
        ("not_null()", 0, "JMESPath's not_null() takes 1 or more arguments, not 0"),
        ("sort_by([?max_by(a, &b) > `1`], &c, d)", 0, "JMESPath's sort_by() takes 2 arguments, not 3"),
        ("", 0, "not a JMESPath expression: it is empty"),
        ("lenght(a)", 0, "unknown JMESPath function; did you mean length()?"),
        (
            "a[?zzz(b)] | yyy(@)",
            3,
            f"unknown JMESPath function; known functions: {', '.join(sorted(Functions.FUNCTION_TABLE))}",
        ),
        ("(" * 3_000, 0, "the JMESPath expression is nested too deeply"),
        ("!" * 3_000 + "a", 0, "the JMESPath expression is nested too deeply"),
        (" && ".join("a" * 3_000), 0, "the JMESPath expression is nested too deeply"),
    ],
)
def test_the_error_of_an_invalid_expression_says_why_and_where(expression: str, at: int, complaint: str) -> None:
    with pytest.raises(PathError, match="JMESPath") as caught:
        compile_path(expression)

    assert (caught.value.problem, caught.value.at) == (complaint, at)


@settings(max_examples=examples(300), deadline=None)
@given(st.text("ab.[]{}()?*&|!=<>@'\",:0-#$ \\", max_size=20))
def test_any_text_compiles_or_raises_a_path_error(expression: str) -> None:
    try:
        path = compile_path(expression)
    except ValueError as error:
        complaint = str(error)
    else:
        complaint = ""
        path.search({"a": [{"b": 1}], "b": "x"})

    assert "\n" not in complaint or complaint.endswith("^")


FUNCTIONS = st.sampled_from(sorted(Functions.FUNCTION_TABLE))
ARGUMENTS = st.sampled_from(
    [
        "@",
        "a",
        "b",
        "*",
        "[]",
        "&a",
        "&b",
        "`1`",
        "`-0`",
        "`[]`",
        "`{}`",
        "`null`",
        "'x'",
        "a[::-1]",
        "a[::0]",
        "{x: @}",
    ]
)
CALLS = st.recursive(
    ARGUMENTS,
    lambda inner: st.builds("{}({})".format, FUNCTIONS, st.lists(inner, min_size=1, max_size=3).map(", ".join)),
    max_leaves=5,
)


@settings(max_examples=examples(500), deadline=None)
@given(CALLS, PAYLOADS)
def test_any_function_call_finds_a_json_value_or_nothing(expression: str, payload: Any) -> None:
    try:
        path = compile_path(expression)
    except PathError:
        return

    found = path.search(payload)

    assert found is None or isinstance(found, str | int | float | bool | list | dict)
