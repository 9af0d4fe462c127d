"""From a mapping file's text to an `Integration`, or to every fault in it with its line and column."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError

from relay.core.contradictions import contradictions_of
from relay.core.document import Document, DocumentPath, Fault, read_document, spell
from relay.core.integration import Integration, MappingTest
from relay.core.mapping import map_payload
from relay.core.model import Ignored, Rejected, Update
from relay.core.readers import UNKNOWN, Pointed
from relay.core.schema import SOURCES, IntegrationSchema

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TYPED = (("tests", "*", "payload"),)
_SCHEMA = IntegrationSchema()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a mapping file came to: an integration, or faults in the order of their lines; and where everything stands."""

    document: Document
    integration: Integration | None = None
    faults: tuple[Fault, ...] = ()
    #: What is suspicious about a good file.
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
    document = read_document(text, typed=_TYPED)
    loaded: dict[str, Any] = {}
    faults = list(document.faults)
    if isinstance(document.tree, dict):
        try:
            loaded = _SCHEMA.load(_merge(document.tree, presets))
        except ValidationError as error:
            faults += _faults_of(error, document)
    elif not faults:
        faults.append(Fault(document.locate(()), "expected keys and values (key: value) at the top of the file"))
    if faults:
        return Parsed(document, faults=tuple(sorted(faults, key=lambda fault: fault.position)))
    integration = _build(name, text, loaded)
    failed = tuple(_failed_tests(integration, document))
    if failed:
        return Parsed(document, faults=failed)
    return Parsed(document, integration, warnings=tuple(_warnings(integration, document)))


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
        if message.startswith("Missing data"):
            yield Fault(document.locate(path[:-1], key=True), f"missing key '{path[-1]}'{_whose(path)}", spell(path))
        elif message.startswith("Field may not be null"):
            yield Fault(document.locate(path, key=True), f"the key '{path[-1]}' has no value", spell(path))
        elif message.startswith(UNKNOWN):
            yield Fault(document.locate(path, key=True), message, spell(path))
        else:
            yield _fault_in(path, message, document)


def _fault_in(path: DocumentPath, message: str, document: Document) -> Fault:
    """Return a fault of a value: at the place inside it where that can be told, else at its beginning."""
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
    position = document.locate(path)
    if isinstance(message, Pointed) and (within := document.locate_within(path, message.at)):
        position, message = within, message.brief
    return Fault(position, f"{key}: {message}" if key else message, spell(path) or None)


def _warnings(integration: Integration, document: Document) -> Iterator[Fault]:
    for path, message in contradictions_of(integration):
        yield Fault(document.locate(path, key=True), message, spell(path), "warning")


def _whose(path: DocumentPath) -> str:
    return f" under '{'.'.join(str(part) for part in path[:-1])}'" if len(path) > 1 else ""


def _flatten(messages: Any, path: DocumentPath) -> Iterator[tuple[DocumentPath, str]]:
    if isinstance(messages, dict):
        for key, below in messages.items():
            yield from _flatten(below, path if key == "_schema" else (*path, key))
    elif isinstance(messages, list):
        for message in messages:
            yield from _flatten(message, path)
    else:
        yield path, messages if isinstance(messages, str) else str(messages)


def _build(name: str, text: str, loaded: dict[str, Any]) -> Integration:
    settings = {key: value for key, value in loaded.items() if key not in {"auth", "fields_", "tests"}}
    return Integration(
        name=name,
        authentications=loaded["auth"],
        fields=loaded["fields_"],
        tests=tuple(loaded["tests"]),
        digest=hashlib.sha256(text.encode()).hexdigest()[:12],
        **{**settings, "description": settings["description"] or ""},
    )


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
