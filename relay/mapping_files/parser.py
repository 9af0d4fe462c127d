"""From a mapping file's text to an `Integration`, or to every fault in it with its line and column."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError

from relay.core.integration import Integration, MappingTest
from relay.core.mapping import map_payload
from relay.core.model import Ignored, Rejected, Update
from relay.mapping_files.contradictions import contradictions_of
from relay.mapping_files.document import Document, DocumentPath, Fault, Position, read_document, spell
from relay.mapping_files.printable_keys import GUARDED, SECRET, may_name, tellable
from relay.mapping_files.reading import Pointed
from relay.mapping_files.schema import SOURCES, MappingSchema
from relay.mapping_files.unknown_keys import UnknownKey
from relay.mapping_files.yaml_errors import place_of

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TYPED = (("tests", "*", "payload"),)
_NEXT_LINE = re.compile(r"[\n\r\x85\u2028\u2029]\s*")
_SCHEMA = MappingSchema()
#: Where the schema's names are others than those of `Integration`.
_PARTS = {"auth": "authentications", "fields_": "fields"}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a mapping file came to: an integration, or faults in the order of their lines; and where everything stands."""

    document: Document
    integration: Integration | None = None
    faults: tuple[Fault, ...] = ()
    #: What is suspicious about the file.
    warnings: tuple[Fault, ...] = ()


def check_name(name: str) -> str | None:
    """Return what is wrong with an integration's name, or None."""
    if NAME.fullmatch(name):
        return None
    return f"'{name}' is not an integration's name: a-z, 0-9 and -, at most 63, not beginning with -"


def parse_mapping_file(name: str, text: str, presets: Mapping[str, Mapping[str, Any]]) -> Parsed:
    """Return the integration `name` that `text` describes, or all of its faults.

    `presets` holds each source's defaults of `records`, `fields`, `sys_id_pattern` and `states`. The file's own
    `tests` are run: one that fails is a fault too.
    """
    document = read_document(text, typed=_TYPED, may_name=may_name)
    faults = list(document.faults)
    if not isinstance(document.tree, dict):
        if not faults:
            faults.append(Fault(document.locate(()), "expected keys and values (key: value) at the top of the file"))
        return Parsed(document, faults=_in_order(faults))
    faults += _stretched(document)
    integration = None
    try:
        loaded = _parts_of(_SCHEMA.load(_merge(document.tree, presets)))
        integration = _build(name, text, loaded)
        faults += _failed_tests(integration, document)
    except ValidationError as error:
        faults += _faults_of(error, document)
        loaded = _good_parts_of(error)
    warnings = tuple(_warnings(loaded, document))
    return Parsed(document, None if faults else integration, _in_order(faults), warnings)


def _in_order(faults: list[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: fault.position))


def _parts_of(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the schema made of a file, by the names of `Integration`."""
    return {_PARTS.get(name, name): part for name, part in loaded.items() if name in _SCHEMA.fields}


def _good_parts_of(error: ValidationError) -> dict[str, Any]:
    """Return what has no fault in it; of `auth`, None in the place of a method that has one."""
    loaded, bad = error.valid_data, error.messages
    if not isinstance(loaded, dict) or not isinstance(bad, dict):
        return {}
    keys = {name: field.data_key or name for name, field in _SCHEMA.fields.items()}
    good = {name: part for name, part in loaded.items() if name == "auth" or keys.get(name) not in bad}
    return _parts_of(good)


def _stretched(document: Document) -> Iterator[Fault]:
    """Yield a fault for each value of several lines where credentials stand: most likely a colon is missing."""
    seen: set[int] = set()
    for path, span in document.scalars.items():
        goes_on = _NEXT_LINE.search(document.text, span.start, span.end)
        is_meant = span.style is not None or path[:1] == () or path[0] not in GUARDED or SECRET & set(path)
        if goes_on and not is_meant and span.start not in seen:
            seen.add(span.start)
            message = "the value above goes on here: is a colon with a space after it missing?"
            yield Fault(Position(*place_of(document.text, goes_on.end())), message, spell(tellable(path)))


def _preset_of(tree: Mapping[str, Any], presets: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    source = tree.get("source")
    # With a wrong source the other faults are told as for the first one: its defaults keep them few.
    return presets[source if isinstance(source, str) and source in presets else SOURCES[0]]


def _merge(tree: Mapping[str, Any], presets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    preset = _preset_of(tree, presets)
    merged = {**preset, **tree}
    if isinstance(tree.get("fields"), dict):
        merged["fields"] = {**preset["fields"], **tree["fields"]}
    return merged


def _faults_of(error: ValidationError, document: Document) -> Iterator[Fault]:
    for path, message in _flatten(error.messages, ()):
        if isinstance(message, UnknownKey):
            yield _unknown(path if path[-1:] == (message.key,) else (*path, message.key), message, document)
        elif message.startswith("Missing data"):
            yield Fault(document.locate(path[:-1], key=True), f"missing key '{path[-1]}'{_whose(path)}", spell(path))
        elif message.startswith("Field may not be null"):
            yield Fault(document.locate(path, key=True), _explain_absence(path, document), spell(path))
        else:
            yield _fault_in(path, message, document)


def _unknown(path: DocumentPath, message: UnknownKey, document: Document) -> Fault:
    told = message.named() if may_name(path) else str(message)
    return Fault(document.locate(path, key=True), told, spell(tellable(path)) or None)


def _explain_absence(path: DocumentPath, document: Document) -> str:
    scalar = document.scalars.get(path)
    is_marked = scalar is not None and document.text[scalar.start : scalar.end][:1] in {"&", "!"}
    hint = ": text that begins with & or ! must stand in quotes" if is_marked else ""
    return f"the key '{path[-1]}' has no value{hint}"


def _fault_in(path: DocumentPath, message: str, document: Document) -> Fault:
    """Return a fault of a value: at the place inside it where that can be told, else at its beginning."""
    told = tellable(path)
    key = next((str(part) for part in reversed(told) if isinstance(part, str)), "")
    position = document.locate(path)
    if isinstance(message, Pointed) and (within := document.locate_within(path, message.at)):
        position, message = within, message.brief
    return Fault(position, f"{key}: {message}" if key else message, spell(told) or None)


def _warnings(loaded: Mapping[str, Any], document: Document) -> Iterator[Fault]:
    for path, message in contradictions_of(loaded):
        yield Fault(document.locate(path, key=True), message, spell(path), "warning")


def _whose(path: DocumentPath) -> str:
    return f" under '{spell(path[:-1])}'" if len(path) > 1 else ""


def _flatten(messages: Any, path: DocumentPath) -> Iterator[tuple[DocumentPath, str]]:
    if isinstance(messages, dict):
        for key, below in messages.items():
            yield from _flatten(below, path if key == "_schema" else (*path, key))
    elif isinstance(messages, list):
        for message in messages:
            yield from _flatten(message, path)
    else:
        yield path, messages if isinstance(messages, str) else str(messages)


def _build(name: str, text: str, loaded: Mapping[str, Any]) -> Integration:
    parts = {
        **loaded,
        "name": name,
        "tests": tuple(loaded["tests"]),
        "digest": hashlib.sha256(text.encode()).hexdigest()[:12],
        "description": loaded["description"] or "",
    }
    return Integration(**parts)


def _failed_tests(integration: Integration, document: Document) -> Iterator[Fault]:
    for index, test in enumerate(integration.tests):
        if complaint := _run(test, integration):
            place = ("tests", index)
            yield Fault(document.locate(place), f"tests: '{test.name}' {complaint}", spell(place))


def _run(test: MappingTest, integration: Integration) -> str | None:
    """Return how `test` failed, or None."""
    for mapped in map_payload(integration, test.payload):
        match mapped:
            case Update(iem_state=state):
                seen, good = f"relayed with state {state}", test.state == state
            case Ignored(reason=reason):
                seen, good = f"ignored ({reason})", test.ignored
            case Rejected(errors=errors):
                fields = [error.field for error in errors]
                seen, good = f"rejected ({errors[0].field}: {errors[0].problem})", test.rejected in fields
        if not good:
            return f"expects {_expectation(test)}, but the payload is {seen}"
    return None


def _expectation(test: MappingTest) -> str:
    if test.state is not None:
        return f"state {test.state}"
    return "ignored" if test.ignored else f"rejected for {test.rejected}"
