"""Bodies of the publish service: what IEM's guide has is let through, all else is named, all at once."""

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
def test_the_guides_own_bodies_are_good(publication: Publication) -> None:
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
def test_what_is_wrong_is_told(publication: Publication, changes: dict[str, Any], problem: str) -> None:
    [told] = problems_of(publication, {**SAMPLES[publication], **changes})

    assert told.startswith(problem)


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_encoded() -> None:
    wrong = {**EVENT, "severty": "4", "createdon": "now"}
    del wrong["severity"]

    with pytest.raises(
        RequestBodyError, match=r"createdon: .*; severity is missing; severty is unknown; did you mean severity\?"
    ):
        encode(Publication.EVENTS, wrong)


@given(st.sampled_from(list(Publication)), st.data())
def test_an_independent_reading_of_the_guide_agrees(publication: Publication, data: st.DataObject) -> None:
    body = dict(SAMPLES[publication])
    values = st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just({}), st.just([]), st.just("{}")
    )
    for name in data.draw(st.lists(st.sampled_from([*body, "another"]), max_size=3, unique=True)):
        if data.draw(st.booleans()):
            body[name] = data.draw(values)
        else:
            body.pop(name, None)

    [stand_in] = [one for one in PUBLICATIONS.values() if one.kind == publication]
    assert (problems_of(publication, body) == []) == (stand_in.body(body) is None)


def test_the_two_forms_of_a_time() -> None:
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
def test_an_array_and_json_lines_are_read_alike(text: str) -> None:
    records = read_records(text, Publication.EVENTS, "ACME")

    assert [one.body for one in records] == [EVENT, EVENT]
    assert [one.problems for one in records] == [(), ()]


def test_a_customer_that_is_not_named_is_the_mappings() -> None:
    without = {name: value for name, value in EVENT.items() if name != "envcustomerid"}

    [given_one, filled] = read_records(
        json.dumps([{**EVENT, "envcustomerid": "OTHER"}, without]), Publication.EVENTS, "ACME"
    )

    assert given_one.body["envcustomerid"] == "OTHER"
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
def test_what_is_no_body_is_told_with_its_place(text: str, place: str, problem: str) -> None:
    record = read_records(text, Publication.EVENTS, "ACME")[-1]

    assert record.place == place
    assert record.problems[0].startswith(problem)


def test_a_line_separator_inside_a_text_ends_no_line() -> None:
    text = "\n".join(json.dumps({**EVENT, "messages": "a\u2028b\x85c"}, ensure_ascii=False) for _ in range(2))

    assert [one.problems for one in read_records(text, Publication.EVENTS, "ACME")] == [(), ()]


def test_all_lines_are_looked_at_where_the_first_one_is_none() -> None:
    records = read_records("{\n{}\n" + json.dumps(EVENT), Publication.EVENTS, "ACME")

    assert [bool(one.problems) for one in records] == [True, True, False]
    assert [one.place for one in records] == ["line 1", "line 2", "line 3"]


@pytest.mark.parametrize("moment", ["2026-13-01T10:20:30.000Z", "2026-02-30T10:20:30.000Z", "٢٠٢٦-11-22T10:20:30.000Z"])
def test_a_time_that_there_is_not_is_told(moment: str) -> None:
    assert len(problems_of(Publication.EVENTS, {**EVENT, "createdon": moment})) == 1


#: Of files for publishing: good bodies, and what stands in between.
PIECES = st.sampled_from(
    [json.dumps(EVENT), json.dumps([EVENT]), "\n", "\r\n", "\u2028", ",", "[", "]", "{", "}", '"', "null", "1e999", "-", "NaN",
     "9" * 5_000,
     "[" * 3_000, '{"a":1,"a":2}', '{"customvariables":"' + "[" * 3_000 + '"}', '"\\ud800"', "\x00", "\ufeff", "\u202e", " "]
)  # fmt: skip


@settings(max_examples=examples(200))
@given(st.sampled_from(list(Publication)), st.lists(PIECES, max_size=9).map("".join) | st.text(st.characters()))
def test_any_text_is_bodies_that_can_be_sent_or_says_what_is_wrong(publication: Publication, text: str) -> None:
    records = read_records(text, publication, "ACME")

    assert len(records) <= text.count("\n") + text.count("{") + text.count(",") + 1
    for one in records:
        assert one.place
        assert all(problem and len(problem) < 2_000 for problem in one.problems)
        if not one.problems:
            assert json.loads(encode(publication, one.body)) == one.body


@given(st.data())
def test_a_body_with_anything_in_a_field_is_sent_as_it_is_or_not_at_all(data: st.DataObject) -> None:
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
