"""The text of a mapping file as plain values, each with its line and column."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.mapping_files.document import Document, read_document
from relay.mapping_files.positions import Position

SCRAPS = st.sampled_from(
    [
        *"{}[]:,-?&*!|>'\"%@`#~ \n\t\r",
        "- ",
        ": ",
        "\n  ",
        "a",
        "6",
        "&a",
        "*a",
        "---\n",
        "...\n",
        "<<: *a",
        '"\\',
        "\\UFFFFFFFF",
        "%YAML ",
    ]
)
TOO_MUCH = "too many values: aliases (*name) multiply, or one contains itself"
TOO_DEEP = "too deep: more than 50 nested blocks and lists"
NO_COLON = "a colon and a space are missing here (key: value), or quotes around a value"
INDENTATION = "the indentation does not match the lines above: begin in the same column as the other keys of this block"
IN_QUOTES = "must be quoted"


def faults_of(text: str) -> list[str]:
    """Return `line:column: message` for each fault."""
    return [f"{fault.position.line}:{fault.position.column}: {fault.message}" for fault in read_document(text).faults]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a: no", {"a": "no"}),
        ("a: 1e3", {"a": "1e3"}),
        ("a: 0x1F", {"a": "0x1F"}),
        ("a: 010", {"a": "010"}),
        ("a: 12:30:45", {"a": "12:30:45"}),
        ("a: 2026-11-22 10:20:30", {"a": "2026-11-22 10:20:30"}),
        ("a: .nan", {"a": ".nan"}),
        ("6: 7", {"6": "7"}),
        ("no: yes", {"no": "yes"}),
        ("null: 6", {"null": "6"}),
        ("a: 'null'", {"a": "null"}),
        ("a: ''", {"a": ""}),
        ("a:", {"a": None}),
        ("a: ~", {"a": None}),
        ("a: null", {"a": None}),
        ("a: [b, 6, null]", {"a": ["b", "6", None]}),
        ("a: !!int 6", {"a": "6"}),
        ("a: &x {b: c}\nd: *x", {"a": {"b": "c"}, "d": {"b": "c"}}),
        ("a: |\n  b\n  c\n", {"a": "b\nc\n"}),
        ("\ufeffa: b", {"a": "b"}),
        ("--- {a: b}\n...\n", {"a": "b"}),
        ("a: b # a comment", {"a": "b"}),
        ("- a", ["a"]),
        ("just text", "just text"),
    ],
)
def test_every_scalar_is_read_as_the_string_that_was_written(text: str, tree: Any) -> None:
    document = read_document(text)

    assert document.tree == tree
    assert document.faults == []


def test_yaml_types_are_used_below_a_typed_path() -> None:
    text = """\
tests:
  - name: 6
    payload: {state: 6, text: "6", number: 6.5, on: yes, off: no, nothing: null, list: [1, 1_000, -7], date: 2026-11-22,
              octal: 010, hexadecimal: 0x1F, sexagesimal: 1:30, exponent: 1.0e+3, infinity: .inf}
"""

    document = read_document(text, typed=[("tests", "*", "payload")])

    assert document.faults == []
    assert document.tree["tests"][0] == {
        "name": "6",
        "payload": {
            "state": 6,
            "text": "6",
            "number": 6.5,
            "on": True,
            "off": False,
            "nothing": None,
            "list": [1, 1000, -7],
            "date": "2026-11-22",
            "octal": 10,
            "hexadecimal": "0x1F",
            "sexagesimal": "1:30",
            "exponent": 1000.0,
            "infinity": ".inf",
        },
    }


def test_every_key_and_value_has_a_position() -> None:
    document = read_document("source: servicenow\n\nauth:\n  - type: basic\n    password: {env: A}\n")

    assert document.locate(()) == Position(1, 1)
    assert document.locate(("source",)) == Position(1, 9)
    assert document.locate(("source",), key=True) == Position(1, 1)
    assert document.locate(("auth",), key=True) == Position(3, 1)
    assert document.locate(("auth", 0)) == Position(4, 5)
    assert document.locate(("auth", 0, "password", "env")) == Position(5, 21)
    assert document.locate(("auth", 0, "password", "env"), key=True) == Position(5, 16)


def test_a_missing_value_has_the_position_of_its_nearest_ancestor() -> None:
    document = read_document("iem:\n  url: x\n")

    assert document.locate(("iem", "password")) == Position(2, 3)
    assert document.locate(("virima", "url")) == Position(1, 1)
    assert Document().locate(("anything", 7)) == Position(1, 1)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("a: 1\na: 2\n", ["2:1: duplicate key 'a': it is already used on line 1"]),
        ("a: 1\nb: {c: 1, d: 2, c: 3}\n", ["2:17: duplicate key 'c': it is already used on line 2"]),
        ("6: 1\n'6': 2\n", ["2:1: duplicate key '6': it is already used on line 1"]),
        (
            "a: 1\nb:\n  - c: 1\n    c: 2\na: 3\na: 4\n",
            [
                "4:5: duplicate key 'c': it is already used on line 3",
                "5:1: duplicate key 'a': it is already used on line 1",
                "6:1: duplicate key 'a': it is already used on line 1",
            ],
        ),
        ("? [a]\n: b\n", ["1:3: a key must be text"]),
        ("", ["1:1: the file is empty"]),
        ("# only a comment\n", ["1:1: the file is empty"]),
        ("a:\n\tb: c\n", ["2:1: tabs cannot be used here: indent with spaces"]),
        ("a:\n  b: c\n\td: e\n", ["3:1: tabs cannot be used here: indent with spaces"]),
        ("a: b: c\n", ["1:5: this colon does not follow a key: check the indentation, or quote the value"]),
        ("a: 1\n b: 2\n", ["2:3: this colon does not follow a key: check the indentation, or quote the value"]),
        ("a: b\nc\nd: e\n", [f"2:1: {NO_COLON}"]),
        ("a:\n  b:c\n  d: e\n", [f"2:3: {NO_COLON}"]),
        ("a: 1\n" + "x" * 1100 + ": 2\n", [f"2:1: {NO_COLON}"]),
        ("a: b\n---\nc: d\n", ["2:1: a second document begins here ('---'): a mapping file is one document"]),
        (
            "a: *b\n",
            [
                f"1:4: text that begins with * {IN_QUOTES}: * repeats a value that is named with &, and there is no such name"
            ],
        ),
        ("a: [1, 2\nb: 3\n", ["1:4: this [ is not closed: ] is missing"]),
        ("a: {b: 2\n", ["1:4: this { is not closed: } is missing"]),
        ("a: {b: 1 c: 2}\n", ["1:11: a comma or } is missing before this, or quotes around the value"]),
        ("a: 'b\n", ["1:4: this quote is not closed"]),
        ("a: @b\n", ["1:4: a value cannot begin with this character: quote the value"]),
    ],
)
def test_a_fault_has_a_position(text: str, faults: list[str]) -> None:
    assert faults_of(text) == faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('a: "x\nb: y\nc: "z"\n', ["1:4: this quote is closed only on line 3: is a quote missing here?"]),
        ("a: 'x\nb: y\nc: 'z'\nd: 1\n", ["1:4: this quote is closed only on line 3: is a quote missing here?"]),
        ("a:\n  b: 1\n c: 2\n", [f"3:2: {INDENTATION}"]),
        ("a:\n  - b\n -c: 2\n", [f"3:2: {INDENTATION}"]),
        (
            'a: "b" c\n',
            ["1:8: unexpected text after the end of a value: put the whole value in one pair of quotes"],
        ),
        ("a: !b!c d\n", [f"1:4: text that begins with ! {IN_QUOTES}: ! begins the name of a type"]),
        ("a: !<b\n", [f"1:7: text that begins with ! {IN_QUOTES}: ! begins the name of a type"]),
        (
            "a: &b c\nd: &b e\n",
            [f"2:4: text that begins with & {IN_QUOTES}: & names a value, and this name is already used"],
        ),
        ("a: |b\n", [f"1:5: text that begins with | or > {IN_QUOTES}, or begin on the line below that character"]),
        ('a: "\\q"\n', ["1:6: unknown escape sequence: in double quotes write \\\\ for \\, or use single quotes"]),
        ("a: - b\n", ["1:4: a list (- …) cannot begin here: begin it on a line of its own"]),
        (
            "%b\na: c\n",
            ["2:1: unexpected text: is a quote or bracket closed too early, or this line indented?"],
        ),
        ("[" * 60 + "]" * 60, [f"1:52: {TOO_DEEP}"]),
        ("a: [" + "[" * 2_000, [f"1:53: {TOO_DEEP}"]),
        ("[" + "a, " * 20_001 + "]", ["1:59999: more than 20000 values"]),
    ],
)
def test_a_message_contains_no_text_of_the_file_and_no_yaml_jargon(text: str, faults: list[str]) -> None:
    assert faults_of(text) == faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('a: "b\\ud800"\n', ["1:4: the character U+D800 is not allowed: delete it"]),
        ('a: b\n"c\\0": d\n', ["2:1: the character U+0000 is not allowed: delete it"]),
        ('a: ["b\\e"]\n', ["1:5: the character U+001B is not allowed: delete it"]),
        ('a: "b\\tc\\nd"\n', []),
        ('p: {a: "b\\rc"}\n', []),
        ('p: {a: "b\\ud800"}\n', ["1:8: the character U+D800 is not allowed: delete it"]),
    ],
)
def test_a_character_that_is_not_allowed_is_a_fault(text: str, faults: list[str]) -> None:
    document = read_document(text, typed=[("p",)])

    assert [f"{fault.position.line}:{fault.position.column}: {fault.message}" for fault in document.faults] == faults
    assert "\ud800" not in str(document.tree)


def test_a_key_that_must_not_be_named_is_not_named() -> None:
    document = read_document("a: {pw: 1, pw: 2}\n", may_name=lambda path: len(path) < 2)

    assert [(fault.message, fault.key) for fault in document.faults] == [
        ("duplicate key: it is already used on line 1", None)
    ]


def test_the_first_of_two_duplicate_keys_is_used() -> None:
    assert read_document("a: 1\na: 2\n").tree == {"a": "1"}


def test_aliases_that_multiply_are_refused_quickly() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 30)]

    document = read_document("\n".join(levels))

    assert [fault.message for fault in document.faults] == [TOO_MUCH]
    assert document.tree is None
    assert len(document.values) < 50_000


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a {b: *a}", "a: &a\n  b: &b [*a, *b]\n"])
def test_an_alias_that_contains_itself_is_refused(text: str) -> None:
    document = read_document(text)

    assert [fault.message for fault in document.faults] == [TOO_MUCH]
    assert document.tree is None


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_500,
        "{a: " * 1_500,
        "- " * 1_500,
        '"\\UFFFFFFFF"',
        '"\\U00110000"',
        f"%YAML {'1' * 5_000}.1\n--- a",
        "\x00",
        "a: \x07",
        "\ud800",
    ],
)
def test_text_that_makes_pyyaml_fail_is_a_fault(text: str) -> None:
    document = read_document(text)

    assert len(document.faults) == 1
    assert document.tree is None


@settings(max_examples=examples(200), deadline=None)
@given(st.text(st.characters()))
def test_any_text_is_a_document_or_has_faults(text: str) -> None:
    assert_total(text)


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(SCRAPS, max_size=30).map("".join))
def test_any_fragments_of_yaml_are_a_document_or_have_faults(text: str) -> None:
    assert_total(text)


def assert_total(text: str) -> None:
    """Each fault has a position and a message. A document without a tree and without a fault is null."""
    document = read_document(text, typed=[("a",)])

    for fault in document.faults:
        assert fault.position >= Position(1, 1)
        assert fault.message
    assert document.faults or document.values


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a: &x {b: c}\nd:\n  <<: *x\n  e: f\n", ["3:3"]),
        ("a: &x {b: c}\nd: {<<: [*x, *x], <<: *x}\n", ["2:5", "2:19"]),
        ("tests:\n  - payload: {<<: {b: c}}\n", ["2:15"]),
    ],
)
def test_a_merge_key_is_refused_with_an_alternative(text: str, places: list[str]) -> None:
    message = "merge keys (<<) are not supported: write the keys out here"

    assert faults_of(text) == [f"{place}: {message}" for place in places]


def test_a_quoted_key_is_not_a_merge_key() -> None:
    assert read_document("'<<': a").tree == {"<<": "a"}
