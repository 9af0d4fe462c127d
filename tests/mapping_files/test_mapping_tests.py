"""The tests in a mapping file: each is run, and a failing one is a fault."""

from __future__ import annotations

import pytest
from mapping_files.mapping_texts import MINIMAL, TICKET, WANTS_KEYS, faults_after_minimal, faults_of, parse


def test_failing_tests_are_reported_together_with_duplicate_keys() -> None:
    tests = "tests: [{name: a, payload: {}, expect: {state: 6}}]\n"

    assert [fault.partition(": ")[2][:12] for fault in faults_of(MINIMAL + "source: servicenow\n" + tests)] == [
        "duplicate ke",
        "tests: 'a' e",
    ]


NO_ID = "sys_id: no value at `sys_id` (the mapping's `fields.sys_id`)"


def test_passing_tests_are_not_faults() -> None:
    tests = f"""\
tests:
  - {{name: relayed, payload: {{sys_id: {TICKET}, state: 6}}, expect: {{state: 6}}}}
  - {{name: a batch, payload: [{{sys_id: {TICKET}, state: 6}}, {{sys_id: {TICKET}, state: Closed}}], expect: {{state: 6}}}}
  - {{name: on hold, payload: {{sys_id: {TICKET}, state: "3"}}, expect: {{ignored: true}}}}
  - {{name: no id, payload: {{state: 6}}, expect: {{rejected: sys_id}}}}
  - {{name: no state, payload: {{sys_id: {TICKET}}}, expect: {{rejected: state}}}}
  - {{name: neither, payload: {{number: INC0010023}}, expect: {{rejected: state}}}}
  - {{name: nothing, payload: null, expect: {{rejected: records}}}}
"""

    assert len(parse(MINIMAL + tests).tests) == 7


@pytest.mark.parametrize(
    ("payload", "expect", "problem"),
    [
        (f"{{sys_id: {TICKET}, state: 6}}", "{state: 7}", "expects state 7, but the payload is relayed with state 6"),
        (
            f"{{sys_id: {TICKET}, state: 6}}",
            "{ignored: true}",
            "expects ignored, but the payload is relayed with state 6",
        ),
        (
            f"{{sys_id: {TICKET}, state: 6}}",
            "{rejected: sys_id}",
            "expects rejected because of sys_id, but the payload is relayed with state 6",
        ),
        (
            f"{{sys_id: {TICKET}, state: 3}}",
            "{state: 6}",
            "expects state 6, but the payload is ignored (state 3 is not listed in the mapping's `states`)",
        ),
        (
            "{state: 6}",
            "{state: 6}",
            f"expects state 6, but the payload is rejected ({NO_ID})",
        ),
        (
            "{state: 6}",
            "{rejected: state}",
            f"expects rejected because of state, but the payload is rejected ({NO_ID})",
        ),
        (
            f"[{{sys_id: {TICKET}, state: 6}}, {{sys_id: {TICKET}, state: 3}}]",
            "{state: 6}",
            "expects state 6, but the payload is ignored (state 3 is not listed in the mapping's `states`)",
        ),
    ],
)
def test_a_failing_test_is_a_fault_at_its_position(payload: str, expect: str, problem: str) -> None:
    lines = ("tests:", f"  - {{name: good, payload: {{sys_id: {TICKET}, state: 6}}, expect: {{state: 6}}}}")

    faults = faults_after_minimal(*lines, f"  - {{name: the example, payload: {payload}, expect: {expect}}}")

    assert faults == [f"3:5: tests: 'the example' {problem}"]


@pytest.mark.parametrize(
    ("test", "faults"),
    [
        ("{}", [f"2:5: missing key '{key}' in 'tests[0]'" for key in ("name", "payload", "expect")]),
        ("{name: '', payload: 6, expect: {state: 6}}", ["2:12: name: expected text, found nothing"]),
        (
            "{name: x, payload: 6, expect: {}}",
            ["2:35: expect: expected exactly one of `state: NUMBER`, `ignored: true`, `rejected: FIELD`"],
        ),
        (
            "{name: x, payload: 6, expect: {state: 6, ignored: true}}",
            ["2:35: expect: expected exactly one of `state: NUMBER`, `ignored: true`, `rejected: FIELD`"],
        ),
        (
            "{name: x, payload: 6, expect: {ignored: false}}",
            ["2:45: ignored: write `ignored: true`, or the expected state"],
        ),
        ("{name: x, payload: 6, expect: {state: six}}", ["2:43: state: this is not a whole number, such as 6"]),
        (
            "{name: x, payload: 6, expect: {rejected: sysid}}",
            ["2:46: rejected: 'sysid' is not one of sys_id, state, records; did you mean 'sys_id'?"],
        ),
        ("{name: x, payload: 6, expect: relayed}", [f"2:35: expect: {WANTS_KEYS}"]),
    ],
)
def test_an_invalid_test_is_a_fault(test: str, faults: list[str]) -> None:
    assert faults_after_minimal("tests:", f"  - {test}") == faults


def test_tests_are_not_run_if_the_file_has_other_faults() -> None:
    test = "tests: [{name: x, payload: {}, expect: {state: 6}}]"

    assert faults_after_minimal("enabld: true", test) == ["1:1: unknown key 'enabld'; did you mean 'enabled'?"]
