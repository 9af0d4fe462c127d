"""Whether a body is one that IEM's publish service takes (guide section 5), and its JSON.

Events and metrics spell the customer `envcustomerid`, the rest `envcustomer_id`: both are the guide's. Everything is required, an
unknown field is a mistake, and all that is wrong with a body is told at once.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import INCLUDE, RAISE, Schema, ValidationError, fields, validates_schema

from relay.errors import RequestBodyError
from relay.iem.publish_bodies import PATHS, AdaptorHealth, Event, Publication

_OF_OBJECTS: dict[str, Any] = {"required": "is missing", "null": "expected a JSON object, not null"}
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", re.ASCII)
_SPLIT = re.compile(r".+_.+_.+", re.DOTALL)


class _Value(fields.Field[Any]):
    """A field that must be there, whose value passes `check`."""

    def __init__(self, check: Callable[[Any], str | None]) -> None:
        super().__init__(
            required=True, error_messages={"required": "is missing", "null": (check(None) or "").replace("{}", "{{}}")}
        )
        self._check = check

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        if problem := self._check(value):
            raise ValidationError(problem)
        return value


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else f"expected a text in quotes, not {json.dumps(value)[:40]}"


def _filled(value: Any) -> str | None:
    return _text(value) or (None if value.strip() else "must not be blank")


def _text_or_number(value: Any) -> str | None:
    fits = type(value) in {str, int} or (type(value) is float and math.isfinite(value))
    return None if fits else "expected a text or a number"


def _of_form(form: re.Pattern[str], example: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        return None if isinstance(value, str) and form.fullmatch(value) else f"expected a text like {example}"

    return check


def _time(form: re.Pattern[str], example: str) -> Callable[[Any], str | None]:
    looks_right = _of_form(form, example)

    def check(value: Any) -> str | None:
        if problem := looks_right(value):
            return problem
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return f"there is no such time: {value}"
        return None

    return check


def _json_text(value: Any) -> str | None:
    try:
        held = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        held = None
    return None if isinstance(held, dict) else 'expected a JSON object in a text, such as "{}"'


_iso = _time(_ISO, "2026-11-22T10:20:30.000Z")
_stamp = _time(_STAMP, "2026-11-22 10:20:30.000")
_split = _of_form(_SPLIT, "<customer id>_<entity>_<parameter>")


class _Strict(Schema):
    class Meta:
        unknown = RAISE


def _schema(name: str, members: Mapping[str, Callable[[Any], str | None] | fields.Field[Any]]) -> type[Schema]:
    read = {key: one if isinstance(one, fields.Field) else _Value(one) for key, one in members.items()}
    return _Strict.from_dict(dict(read), name=name)


def _one(schema: type[Schema]) -> fields.Field[Any]:
    return fields.Nested(schema, required=True, error_messages=_OF_OBJECTS)


def _many(schema: type[Schema]) -> fields.Field[Any]:
    return fields.List(
        fields.Nested(schema, error_messages={"null": "expected a JSON object, not null"}),
        required=True,
        error_messages={**_OF_OBJECTS, "null": "expected a list, not null", "invalid": "expected a list"},
    )


class _CustomColumns(_schema("CustomColumns", {"Category": _text, "Location": _text})):  # type: ignore[misc] # made of a table
    """Category, Location, and any other text."""

    class Meta:
        unknown = INCLUDE

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_others(self, _data: Any, original: Any, **_kwargs: Any) -> None:
        if not isinstance(original, dict):
            return
        others = {name: value for name, value in original.items() if name not in self.fields}
        if odd := {name: [problem] for name, value in others.items() if (problem := _text(value))}:
            raise ValidationError(odd)


_EVENT = _schema(
    "Event",
    {**dict.fromkeys(Event.__annotations__, _text), "createdon": _iso, "firstoccurrence": _iso, "splitby": _split},
)
#: By publication.
SCHEMAS: Mapping[Publication, Schema] = {
    Publication.EVENTS: _EVENT(),
    Publication.METRICS: _EVENT(),
    Publication.ENTITY: _schema(
        "Entity",
        {
            "custcol": _one(_CustomColumns),
            "entityid": _filled,
            "topology": _one(_schema("Topology", {"parententity": _text})),
            "envcustomer_id": _text,
            "createdon": _iso,
        },
    )(),
    Publication.SERVICE: _schema(
        "Service",
        {
            "servicename": _filled,
            "service_entity_mapping": _many(_schema("EntityOfService", {"entityid": _filled})),
            "service_topology": _many(_schema("ParentService", {"parentservicename": _text})),
            "envcustomer_id": _text,
        },
    )(),
    Publication.HEALTHCHECK: _schema(
        "AdaptorHealth",
        {
            **dict.fromkeys(AdaptorHealth.__annotations__, _text),
            "value": _text_or_number,
            "timestamp": _stamp,
            "updatetimestamp": _stamp,
            "additional_info": _json_text,
        },
    )(),
}


def customer_field(publication: Publication) -> str:
    """Return how that body spells the customer."""
    return "envcustomerid" if publication in {Publication.EVENTS, Publication.METRICS} else "envcustomer_id"


def problems_of(publication: Publication, body: Mapping[str, Any]) -> list[str]:
    """Return all that is wrong with a body, a phrase each; an empty list: IEM's guide has it like this."""
    schema = SCHEMAS[publication]
    return sorted(_flatten(schema.validate(body), set(schema.fields)))


def encode(publication: Publication, body: Mapping[str, Any]) -> bytes:
    """Return a body as JSON.

    Raises:
        RequestBodyError: it is not as the guide has it; the message names every field that is wrong.
    """
    if problems := problems_of(publication, body):
        raise RequestBodyError(f"no body of {PATHS[publication]}: {'; '.join(problems)}")
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def _flatten(found: Mapping[Any, Any], known: set[str], path: str = "") -> Iterator[str]:
    for name, problems in found.items():
        if isinstance(problems, Mapping):
            inner = "" if name == "_schema" else f"{path}{name}."
            yield from _flatten(problems, set(), inner)
        elif name == "_schema":
            yield f"{path.rstrip('.') or 'the body'}: expected a JSON object"
        elif problems == ["Unknown field."]:
            meant = difflib.get_close_matches(str(name), known, 1)
            yield f"{path}{name} is unknown" + (f"; did you mean {meant[0]}?" if meant else "")
        else:
            text = " ".join(map(str, problems))
            yield f"{path}{name} {text}" if text == "is missing" else f"{path}{name}: {text}"


def iso_time(at_ms: int) -> str:
    """Return Unix milliseconds as events and entities tell a time."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03}Z"


def stamp_time(at_ms: int) -> str:
    """Return Unix milliseconds as adaptor health tells a time: UTC."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03}"
