"""Bodies of the publish service: those of IEM's guide are valid; all errors of others are reported together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iem.samples import SAMPLES
from properties import examples

from relay.errors import RequestBodyError
from relay.iem.publish_bodies import Publication
from relay.iem.publish_schemas import encode, iso_time, problems_of, stamp_time
from relay.iem.record_file import read_records
from relay.simulators.iem_bodies import PUBLICATIONS

EVENT = SAMPLES[Publication.EVENTS]


@pytest.mark.parametrize("publication", Publication)
def test_the_examples_of_the_guide_are_valid(publication: Publication) -> None:
    assert problems_of(publication, SAMPLES[publication]) == []
    assert json.loads(encode(publication, SAMPLES[publication])) == SAMPLES[publication]


@pytest.mark.parametrize("publication", Publication)
def test_every_field_is_required_and_no_other_is_known(publication: Publication) -> None:
    sample = SAMPLES[publication]
    for name in sample:
        without = {key: value for key, value in sample.items() if key != name}
        assert problems_of(publication, without) == [f"{name} is missing"]
        with_another = {**without, f"{name}x": sample[name]}
        assert sorted(problems_of(publication, with_another)) == sorted(
            [f"{name} is missing", f"{name}x is unknown; did you mean {name}?"]
        )


@pytest.mark.parametrize(
    ("publication", "changes", "problem"),
    [
        (Publication.EVENTS, {"severity": 4}, "severity: expected a text in quotes, not 4"),
        (
            Publication.EVENTS,
            {"createdon": "2026-11-22 10:20:30"},
            "createdon: expected a text like 2026-11-22T10:20:30.000Z",
        ),
        (Publication.METRICS, {"splitby": "x"}, "splitby: expected a text like <customer id>_<entity>_<parameter>"),
        (Publication.HEALTHCHECK, {"timestamp": "2026-11-22T10:20:30.000Z"}, "timestamp: expected a text like"),
        (Publication.HEALTHCHECK, {"additional_info": {}}, "additional_info: expected a JSON object in a text"),
        (Publication.HEALTHCHECK, {"value": True}, "value: expected a text or a number"),
        (Publication.ENTITY, {"entityid": " "}, "entityid: must not be blank"),
        (Publication.ENTITY, {"custcol": {"Category": "x"}}, "custcol.Location is missing"),
        (
            Publication.ENTITY,
            {"custcol": {"Category": "x", "Location": "y", "Owner": 1}},
            "custcol.Owner: expected a text",
        ),
        (Publication.ENTITY, {"topology": {}}, "topology.parententity is missing"),
        (
            Publication.SERVICE,
            {"service_entity_mapping": [{"entityid": "a"}, {}]},
            "service_entity_mapping.1.entityid is missing",
        ),
        (Publication.SERVICE, {"service_topology": {}}, "service_topology: expected a list"),
    ],
)
def test_each_error_of_a_body_is_described(publication: Publication, changes: dict[str, Any], problem: str) -> None:
    [error] = problems_of(publication, {**SAMPLES[publication], **changes})

    assert error.startswith(problem)


def test_all_errors_are_reported_together_and_nothing_is_encoded() -> None:
    wrong = {**EVENT, "severty": "4", "createdon": "now"}
    del wrong["severity"]

    with pytest.raises(
        RequestBodyError, match=r"createdon: .*; severity is missing; severty is unknown; did you mean severity\?"
    ):
        encode(Publication.EVENTS, wrong)


@given(st.sampled_from(list(Publication)), st.data())
def test_the_simulator_accepts_and_refuses_the_same_bodies(publication: Publication, data: st.DataObject) -> None:
    body = dict(SAMPLES[publication])
    values = st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just({}), st.just([]), st.just("{}")
    )
    for name in data.draw(st.lists(st.sampled_from([*body, "another"]), max_size=3, unique=True)):
        if data.draw(st.booleans()):
            body[name] = data.draw(values)
        else:
            body.pop(name, None)

    [simulated] = [item for item in PUBLICATIONS.values() if item.kind == publication]
    assert (problems_of(publication, body) == []) == (simulated.body(body) is None)


def test_times_are_written_in_the_two_formats_of_the_guide() -> None:
    assert iso_time(1_795_342_830_007) == "2026-11-22T10:20:30.007Z"
    assert stamp_time(1_795_342_830_120) == "2026-11-22 10:20:30.120"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([EVENT, EVENT]),
        f"{json.dumps(EVENT)}\n\n{json.dumps(EVENT)}\n",
        json.dumps([EVENT, EVENT], indent=2),
    ],
    ids=["array", "lines", "indented"],
)
def test_an_array_and_json_lines_give_the_same_records(text: str) -> None:
    records = read_records(text, Publication.EVENTS, "ACME")

    assert [record.body for record in records] == [EVENT, EVENT]
    assert [record.problems for record in records] == [(), ()]


def test_a_body_without_a_customer_gets_the_one_of_the_mapping() -> None:
    without = {name: value for name, value in EVENT.items() if name != "envcustomerid"}

    [given, filled] = read_records(
        json.dumps([{**EVENT, "envcustomerid": "OTHER"}, without]), Publication.EVENTS, "ACME"
    )

    assert given.body["envcustomerid"] == "OTHER"
    assert filled.body["envcustomerid"] == "ACME"


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("{", "the file", "not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        ('{"a": 1}\n{', "line 2", "not JSON:"),
        ("[1]", "record 1", "expected a JSON object"),
        ('"text"', "record 1", "expected a JSON object"),
        ('{"a": NaN}', "the file", "not JSON: NaN is not a JSON number"),
        ('{"a": 1, "a": 2}', "the file", "not JSON: duplicate member a"),
        ('{"a": ' + "9" * 5000 + "}", "the file", "not JSON: Exceeds the limit"),
        ("[" * 100_000, "the file", "not JSON: nested too deep"),
    ],
)
def test_text_that_is_not_a_body_is_reported_with_its_place(text: str, place: str, problem: str) -> None:
    record = read_records(text, Publication.EVENTS, "ACME")[-1]

    assert record.place == place
    assert record.problems[0].startswith(problem)


def test_a_line_separator_inside_a_text_does_not_end_the_line() -> None:
    text = "\n".join(json.dumps({**EVENT, "messages": "a\u2028b\x85c"}, ensure_ascii=False) for _ in range(2))

    assert [record.problems for record in read_records(text, Publication.EVENTS, "ACME")] == [(), ()]


def test_all_lines_are_checked_even_if_the_first_is_invalid() -> None:
    records = read_records("{\n{}\n" + json.dumps(EVENT), Publication.EVENTS, "ACME")

    assert [bool(record.problems) for record in records] == [True, True, False]
    assert [record.place for record in records] == ["line 1", "line 2", "line 3"]


@pytest.mark.parametrize("moment", ["2026-13-01T10:20:30.000Z", "2026-02-30T10:20:30.000Z", "٢٠٢٦-11-22T10:20:30.000Z"])
def test_an_impossible_time_is_an_error(moment: str) -> None:
    assert len(problems_of(Publication.EVENTS, {**EVENT, "createdon": moment})) == 1


#: Pieces of files for publishing: valid bodies and other text.
PIECES = st.sampled_from(
    [json.dumps(EVENT), json.dumps([EVENT]), "\n", "\r\n", "\u2028", ",", "[", "]", "{", "}", '"', "null", "1e999", "-", "NaN",
     "9" * 5_000,
     "[" * 3_000, '{"a":1,"a":2}', '{"customvariables":"' + "[" * 3_000 + '"}', '"\\ud800"', "\x00", "\ufeff", "\u202e", " "]
)  # fmt: skip


@settings(max_examples=examples(200))
@given(st.sampled_from(list(Publication)), st.lists(PIECES, max_size=9).map("".join) | st.text(st.characters()))
def test_any_text_gives_sendable_bodies_or_problems(publication: Publication, text: str) -> None:
    records = read_records(text, publication, "ACME")

    assert len(records) <= text.count("\n") + text.count("{") + text.count(",") + 1
    for record in records:
        assert record.place
        assert all(problem and len(problem) < 2_000 for problem in record.problems)
        if not record.problems:
            assert json.loads(encode(publication, record.body)) == record.body


@given(st.data())
def test_a_body_with_any_value_is_sent_unchanged_or_refused(data: st.DataObject) -> None:
    publication = data.draw(st.sampled_from(list(Publication)))
    name = data.draw(st.sampled_from(sorted(SAMPLES[publication])))
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None)),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=4,
    )
    body = {**SAMPLES[publication], name: data.draw(values | values.map(json.dumps))}

    if problems_of(publication, body):
        with pytest.raises(RequestBodyError):
            encode(publication, body)
    else:
        assert json.loads(encode(publication, body)) == body
