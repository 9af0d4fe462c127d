"""Wrong values in mapping files: each is reported with its key, its position and what to write instead."""

from __future__ import annotations

import pytest
from jmespath.functions import Functions
from mapping_files.mapping_texts import MINIMAL, NO_DURATION, WANTS_KEYS, faults_after_minimal, faults_of

NO_NAME = "unexpected name or value: is a dot or an operator missing before it?"
NO_FUNCTION = f"unknown JMESPath function; known functions: {', '.join(sorted(Functions.FUNCTION_TABLE))}"
WANTS_STATES = "expected states, such as `6: 6` and `Resolved: 6`, one per line, indented below"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("enabled: maybe", "1:10: enabled: expected true or false"),
        ("enabled: [true]", "1:10: enabled: expected true or false"),
        ("enabled:", "1:1: the key 'enabled' has no value"),
        ("description: [a]", "1:14: description: expected text"),
        (
            "allow_from: anyone",
            "1:13: allow_from: expected an address or a network, such as 192.0.2.17, 10.0.0.0/8 or 2001:db8::/32",
        ),
        ("records: [a, b]", "1:10: records: expected a JMESPath expression"),
        ("records:", "1:1: the key 'records' has no value"),
        ("fields: state", f"1:9: fields: {WANTS_KEYS}"),
        ("fields:", "1:1: the key 'fields' has no value"),
        ("fields: {state: []}", "1:17: state: the list is empty: it needs at least one path"),
        ("fields: {state: {a: b}}", "1:17: state: expected a JMESPath expression"),
        ("fields: {version: null}", "1:10: the key 'version' has no value"),
        ("fields: {state: [state, [b]]}", "1:25: state: expected a JMESPath expression"),
        (
            "sys_id_pattern: '[a-'",
            "1:18: sys_id_pattern: not a regular expression: this [ is not closed",
        ),
        (
            "sys_id_pattern: 'a{9999999999999}'",
            (
                "1:17: sys_id_pattern: not a regular expression: the repeats are too long: "
                "an id has at most 255 characters"
            ),
        ),
        ("sys_id_pattern: []", "1:17: sys_id_pattern: expected a regular expression"),
        ("tables: problem", "1:9: tables: expected tables, such as `problem: {states: {106: 6}}`"),
        ("tables: {problem: {106: 6}}", "1:10: missing key 'states' in 'tables.problem'"),
        ("tables: {problem: }", f"1:18: problem: {WANTS_KEYS}"),
        ("tables: {problem: {states: 6}}", f"1:28: states: {WANTS_STATES}"),
        (
            "tables: {incident: {states: {6: 6}}}",
            "1:20: incident: write the states of incidents in the top-level key `states`",
        ),
        ("unlisted_states: drop", "1:18: unlisted_states: expected one of ignore, reject"),
        ("dedupe:", "1:1: the key 'dedupe' has no value"),
        ("dedupe: 24h", f"1:9: dedupe: {WANTS_KEYS}"),
        ("dedupe: {window: 0s}", "1:18: window: 0s is out of bounds: 1s to 30d"),
        ("dedupe: {window: 31d}", "1:18: window: 31d is out of bounds: 1s to 30d"),
        ("dedupe: {collapse: 1}", "1:20: collapse: expected true or false"),
        ("retry: {first: 5}", f"1:16: first: '5' {NO_DURATION}"),
        ("retry: {first: [5s]}", "1:16: first: expected a duration, such as 30s or 24h"),
        ("retry: {first: 20m}", "1:16: first: must not be longer than `retry.most`"),
        ("retry: {give_up_after: 91d}", "1:24: give_up_after: 91d is out of bounds: 1s to 90d"),
        ("publish: true", f"1:10: publish: {WANTS_KEYS}"),
        ("publish: {heartbeat: 5}", f"1:22: heartbeat: '5' {NO_DURATION}"),
        ("  timeout: 2m", "1:12: timeout: 2m is out of bounds: 100ms to 60s"),
        ("  max_in_flight: 0", "1:18: max_in_flight: 0 is out of bounds: 1 to 256"),
        ("  max_in_flight: many", "1:18: max_in_flight: this is not a whole number, such as 6"),
        ("  auth: bearer", "1:9: auth: expected one of token, basic"),
        ("  ca_file: ''", "1:12: ca_file: expected text, found nothing"),
        (
            "tests: {}",
            "1:8: tests: expected a list, with the keys name, payload, expect in each item",
        ),
        ("tests: [resolved]", f"1:9: tests: {WANTS_KEYS}"),
    ],
)
def test_a_wrong_value_is_reported_with_its_key_and_position(line: str, fault: str) -> None:
    found = faults_after_minimal(line)

    assert fault in found
    assert all("unknown key '106'" in other for other in found if other != fault)


@pytest.mark.parametrize(
    ("states", "faults"),
    [
        ("{6: 6, Resolved: six}", ["1:26: Resolved: this is not an IEM state: expected a whole number"]),
        ("{6: 6.0}", ["1:13: 6: '6.0' is not an IEM state: expected a whole number"]),
        ("{6: }", ["1:12: 6: this is not an IEM state: expected a whole number"]),
        ("{6: [6]}", ["1:13: 6: this is not an IEM state: expected a whole number"]),
        ("{6: 6, 6.0: 6}", ["1:21: 6.0: '6.0' is the same state as '6': delete one of them"]),
        ("{6: 6, 06: 7}", ["1:20: 06: '06' is the same state as '6': delete one of them"]),
        ("{On Hold: 3, onhold: 3}", ["1:30: onhold: 'onhold' is the same state as 'On Hold': delete one of them"]),
        (
            "{Resolved: x, RESOLVED: 6, 7: y}",
            [
                "1:20: Resolved: this is not an IEM state: expected a whole number",
                "1:33: RESOLVED: 'RESOLVED' is the same state as 'Resolved': delete one of them",
                "1:39: 7: this is not an IEM state: expected a whole number",
            ],
        ),
        ("{}", [f"1:9: states: {WANTS_STATES}"]),
        ("[6, 7]", [f"1:9: states: {WANTS_STATES}"]),
        ("", ["1:1: the key 'states' has no value"]),
    ],
)
def test_states_are_whole_numbers_without_duplicates(states: str, faults: list[str]) -> None:
    assert faults_after_minimal(f"states: {states}") == faults


@pytest.mark.parametrize(
    ("written", "at", "problem"),
    [
        ("'a.'", 3, "it ends too early"),
        ("'a | ['", 6, "it ends too early"),
        ("'a..b'", 3, "unexpected '.'"),
        ("'a b'", 3, NO_NAME),
        ("a b", 2, NO_NAME),
        ('"a b"', 3, NO_NAME),
        ("'#a'", 1, "unexpected '#'"),
        ("'a[?b == '']'", 9, "this quote is not closed"),
        ("'a[?b == ''c''] d'", 16, NO_NAME),
        ("''", 1, "it is empty"),
    ],
)
def test_an_invalid_jmespath_expression_is_reported_at_its_character(written: str, at: int, problem: str) -> None:
    faults = faults_after_minimal(f"fields: {{number: {written}}}")

    assert faults == [f"1:{18 + at}: number: not a JMESPath expression: {problem}"]


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("'a\n    b'", "3:5"),
        (">-\n    a\n    b", "4:5"),
        ("|\n    a..b\n", "3:7"),
        ("|-\n\n      a ||\n        [\n", "5:10"),
        ("'a[?b == ''c''] d'", "2:27"),
        ('"a\\n    b"', "2:11"),
    ],
)
def test_the_position_in_an_expression_of_several_lines_is_reported(written: str, place: str) -> None:
    (fault,) = faults_after_minimal("fields:", f"  number: {written}")

    assert fault.startswith(f"{place}: number: not a JMESPath expression: ")
    assert "\n" not in fault


def test_a_position_after_an_escape_sequence_is_reported_as_a_number() -> None:
    faults = faults_after_minimal("fields:", r'  number: "a\x20b"')

    assert faults == [f"2:11: number: not a JMESPath expression: {NO_NAME} (at character 3 of the value)"]


@pytest.mark.parametrize(
    ("expression", "at", "problem"),
    [
        ("lenght(a)", 0, "unknown JMESPath function; did you mean length()?"),
        ("a[?contians(b, `6`)]", 3, "unknown JMESPath function; did you mean contains()?"),
        ("a | zzz(@)", 4, NO_FUNCTION),
        ("(" * 3_000, 0, "the JMESPath expression is nested too deeply"),
        ("||".join("a" * 3_000), 0, "the JMESPath expression is nested too deeply"),
    ],
)
def test_a_jmespath_expression_that_can_never_work_is_refused(expression: str, at: int, problem: str) -> None:
    assert faults_after_minimal(f"records: '{expression}'") == [f"1:{11 + at}: records: {problem}"]


@pytest.mark.parametrize("header", ["'X-API-Key:'", "X API", '"X-A\\nX-B"', "schlüssel", "''"])
def test_a_header_name_that_http_does_not_allow_is_refused(header: str) -> None:
    (*_, fault) = faults_of(MINIMAL.replace("none", f"[{{type: header, header: {header}, value: {{env: A}}}}]"))

    assert fault.startswith("2:31: header: expected an HTTP name, such as X-API-Key")
