"""Fields that are read by a function, and the phrases that describe the errors of a body."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import RAISE, Schema, ValidationError, fields

from relay.core.schema_problems import describe_problems
from relay.core.value_field import ValueField


def read_even(value: Any) -> int:
    if type(value) is not int or value % 2:
        raise ValidationError("expected an even number")
    return value // 2


INNER = Schema.from_dict({"even": ValueField(read_even, required=True)}, name="InnerSchema")


class Outer(Schema):
    class Meta:
        unknown = RAISE

    even = ValueField(read_even, required=True)
    maybe = ValueField(read_even, allow_none=True)
    inner = fields.Nested(INNER)
    null = ValueField(lambda value: value is None, reads_null=True)


def test_a_value_is_what_its_reader_returns() -> None:
    body = {"even": 4, "maybe": None, "inner": {"even": 6}, "null": None}

    assert Outer().load(body) == {"even": 2, "maybe": None, "inner": {"even": 3}, "null": True}


@pytest.mark.parametrize(
    ("body", "phrases"),
    [
        ({}, ["even is missing"]),
        ({"even": 3}, ["even: expected an even number"]),
        ({"even": 2, "inner": {"even": 3}}, ["inner.even: expected an even number"]),
        ({"even": 2, "inner": {}}, ["inner.even is missing"]),
        ({"even": 2, "inner": []}, ["inner: expected a JSON object"]),
        ({"even": 2, "evn": 2}, ["evn is unknown; did you mean even?"]),
        ({"even": 2, "another": 2}, ["another is unknown"]),
        ([], ["the body: expected a JSON object"]),
        ({"another": 2, "maybe": 3}, ["another is unknown", "even is missing", "maybe: expected an even number"]),
    ],
)
def test_every_error_of_a_body_is_described(body: Any, phrases: list[str]) -> None:
    schema = Outer()

    assert sorted(describe_problems(schema.validate(body), schema.fields)) == phrases
