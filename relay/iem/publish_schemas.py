"""Schemas of the bodies that IEM's publish service accepts (guide section 5), and the JSON of a body.

Events and metrics spell the customer `envcustomerid`, the others `envcustomer_id`, as in the guide. Every field is required, an
unknown field is an error, and all errors of a body are reported together.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import INCLUDE, RAISE, Schema, ValidationError, fields, validates_schema

from relay.core.schema_problems import describe_problems
from relay.core.value_field import ValueField
from relay.errors import RequestBodyError
from relay.iem.publish_bodies import PATHS, AdaptorHealth, Event, Publication

_Reader = Callable[[Any], Any]
_OBJECT_ERRORS: dict[str, Any] = {"null": "expected a JSON object, not null"}
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", re.ASCII)
_SPLIT = re.compile(r".+_.+_.+", re.DOTALL)


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValidationError(f"expected a text in quotes, not {json.dumps(value)[:40]}")
    return value


def _read_filled(value: Any) -> str:
    if not _read_text(value).strip():
        raise ValidationError("must not be blank")
    return str(value)


def _read_text_or_number(value: Any) -> Any:
    if type(value) in {str, int} or (type(value) is float and math.isfinite(value)):
        return value
    raise ValidationError("expected a text or a number")


def _read_json_text(value: Any) -> str:
    try:
        content = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ValidationError('expected a JSON object in a text, such as "{}"')
    return str(value)


def _read_form(form: re.Pattern[str], example: str) -> _Reader:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise ValidationError(f"expected a text like {example}")
        return value

    return read


def _read_time(form: re.Pattern[str], example: str) -> _Reader:
    read_form = _read_form(form, example)

    def read(value: Any) -> str:
        text = str(read_form(value))
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise ValidationError(f"there is no such time: {text}") from None
        return text

    return read


_read_iso = _read_time(_ISO, "2026-11-22T10:20:30.000Z")
_read_stamp = _read_time(_STAMP, "2026-11-22 10:20:30.000")
_read_split = _read_form(_SPLIT, "<customer id>_<entity>_<parameter>")


class _Strict(Schema):
    class Meta:
        unknown = RAISE


def _schema(name: str, members: Mapping[str, _Reader | fields.Field[Any]]) -> type[Schema]:
    return _Strict.from_dict(
        {
            key: member if isinstance(member, fields.Field) else ValueField(member, reads_null=True, required=True)
            for key, member in members.items()
        },
        name=name,
    )


def _object(schema: type[Schema]) -> fields.Field[Any]:
    return fields.Nested(schema, required=True, error_messages=_OBJECT_ERRORS)


def _list(schema: type[Schema]) -> fields.Field[Any]:
    return fields.List(
        fields.Nested(schema, error_messages=_OBJECT_ERRORS),
        required=True,
        error_messages={"null": "expected a list, not null", "invalid": "expected a list"},
    )


class _CustomColumns(_schema("CustomColumns", {"Category": _read_text, "Location": _read_text})):  # type: ignore[misc] # made from a table
    """Category, Location, and any other text."""

    class Meta:
        unknown = INCLUDE

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_others(self, _data: Any, original: Any, **_kwargs: Any) -> None:
        if not isinstance(original, dict):
            return
        others = {name: value for name, value in original.items() if name not in self.fields}
        if errors := {
            name: [f"expected a text in quotes, not {json.dumps(value)[:40]}"]
            for name, value in others.items()
            if not isinstance(value, str)
        }:
            raise ValidationError(errors)


_EVENT = _schema(
    "Event",
    {
        **dict.fromkeys(Event.__annotations__, _read_text),
        "createdon": _read_iso,
        "firstoccurrence": _read_iso,
        "splitby": _read_split,
    },
)
#: The schema of each publication.
SCHEMAS: Mapping[Publication, Schema] = {
    Publication.EVENTS: _EVENT(),
    Publication.METRICS: _EVENT(),
    Publication.ENTITY: _schema(
        "Entity",
        {
            "custcol": _object(_CustomColumns),
            "entityid": _read_filled,
            "topology": _object(_schema("Topology", {"parententity": _read_text})),
            "envcustomer_id": _read_text,
            "createdon": _read_iso,
        },
    )(),
    Publication.SERVICE: _schema(
        "Service",
        {
            "servicename": _read_filled,
            "service_entity_mapping": _list(_schema("EntityOfService", {"entityid": _read_filled})),
            "service_topology": _list(_schema("ParentService", {"parentservicename": _read_text})),
            "envcustomer_id": _read_text,
        },
    )(),
    Publication.HEALTHCHECK: _schema(
        "AdaptorHealth",
        {
            **dict.fromkeys(AdaptorHealth.__annotations__, _read_text),
            "value": _read_text_or_number,
            "timestamp": _read_stamp,
            "updatetimestamp": _read_stamp,
            "additional_info": _read_json_text,
        },
    )(),
}


def customer_field(publication: Publication) -> str:
    """Return the name of the customer's field in a body."""
    return "envcustomerid" if publication in {Publication.EVENTS, Publication.METRICS} else "envcustomer_id"


def problems_of(publication: Publication, body: Mapping[str, Any]) -> list[str]:
    """Return a phrase for each error of a body; an empty list if the body is as the guide describes it."""
    schema = SCHEMAS[publication]
    return sorted(describe_problems(schema.validate(body), schema.fields))


def encode(publication: Publication, body: Mapping[str, Any]) -> bytes:
    """Return a body as JSON.

    Raises:
        RequestBodyError: the body is not as the guide describes it; the message names every wrong field.
    """
    if problems := problems_of(publication, body):
        raise RequestBodyError(f"invalid body for {PATHS[publication]}: {'; '.join(problems)}")
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def iso_time(at_ms: int) -> str:
    """Return Unix milliseconds as events and entities write a time."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03}Z"


def stamp_time(at_ms: int) -> str:
    """Return Unix milliseconds as adaptor health writes a time, in UTC."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03}"
