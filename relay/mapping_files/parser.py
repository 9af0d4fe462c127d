"""From the text of a mapping file to an `Integration`, or to all faults with their lines and columns."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError

from relay.core.integration import SOURCES, Integration
from relay.core.mapping import map_payload
from relay.core.mapping_blocks import Expectation, MappingTest
from relay.core.model import Ignored, Rejected, Update
from relay.mapping_files.document import Document, DocumentPath, Fault, read_document, spell
from relay.mapping_files.key_warnings import warnings_of
from relay.mapping_files.positions import position_of
from relay.mapping_files.printable_keys import GUARDED, SECRET, may_name, printable
from relay.mapping_files.reader_field import MessageAt
from relay.mapping_files.schema import MappingSchema, key_names
from relay.mapping_files.unknown_keys import UnknownKey

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TYPED = (("tests", "*", "payload"),)
_NEXT_LINE = re.compile(r"[\n\r\x85\u2028\u2029]\s*")
_SCHEMA = MappingSchema()


@dataclass(frozen=True, slots=True)
class Parsed:
    """The result: an integration, or faults in the order of their lines; and the document with the positions."""

    document: Document
    integration: Integration | None = None
    faults: tuple[Fault, ...] = ()
    #: Keys that are probably mistakes.
    warnings: tuple[Fault, ...] = ()


def check_name(name: str) -> str | None:
    """Return what is wrong with the name of an integration, or None."""
    if NAME.fullmatch(name):
        return None
    return f"'{name}' is not a valid integration name: use at most 63 of the characters a-z, 0-9 and -, and do not begin with -"


def parse_mapping_file(name: str, text: str, presets: Mapping[str, Mapping[str, Any]]) -> Parsed:
    """Return the integration `name` that `text` describes, or all of its faults.

    `presets` has the defaults of `records`, `fields`, `sys_id_pattern` and `states` for each source. The `tests` in the file
    are run: a failing test is a fault.
    """
    document = read_document(text, typed=_TYPED, may_name=may_name)
    faults = list(document.faults)
    if not isinstance(document.tree, dict):
        if not faults:
            faults.append(Fault(document.locate(()), "expected keys and values (key: value) at the top of the file"))
        return Parsed(document, faults=_in_order(faults))
    faults += _continued_values(document)
    integration = None
    try:
        loaded = _SCHEMA.load(_merge(document.tree, presets))
        integration = _build(name, text, loaded)
        faults += _failed_tests(integration, document)
    except ValidationError as error:
        faults += _faults_of(error, document)
        loaded = _valid_parts(error)
    warnings = tuple(_warnings(loaded, document))
    return Parsed(document, None if faults else integration, _in_order(faults), warnings)


def _in_order(faults: list[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: fault.position))


def _valid_parts(error: ValidationError) -> dict[str, Any]:
    """Return the parts without a fault; in `auth`, None replaces each method with a fault."""
    loaded, bad = error.valid_data, error.messages
    if not isinstance(loaded, dict) or not isinstance(bad, dict):
        return {}
    fields = key_names(_SCHEMA)
    names = {fields[key].name for key in bad if key in fields}
    return {name: part for name, part in loaded.items() if name == "authentications" or name not in names}


def _continued_values(document: Document) -> Iterator[Fault]:
    """Yield a fault for each value of several lines in a block with credentials: probably a colon is missing."""
    seen: set[int] = set()
    for path, span in document.scalars.items():
        next_line = _NEXT_LINE.search(document.text, span.start, span.end)
        is_intended = span.style is not None or path[:1] == () or path[0] not in GUARDED or SECRET & set(path)
        if next_line and not is_intended and span.start not in seen:
            seen.add(span.start)
            message = "the value above continues here: are a colon and a space missing?"
            yield Fault(position_of(document.text, next_line.end()), message, spell(printable(path)))


def _preset_of(tree: Mapping[str, Any], presets: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    source = tree.get("source")
    # With a wrong source, the defaults of the first source avoid further faults that only follow from it.
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
            yield Fault(document.locate(path[:-1], key=True), f"missing key '{path[-1]}'{_in_block(path)}", spell(path))
        elif message.startswith("Field may not be null"):
            yield Fault(document.locate(path, key=True), _explain_empty(path, document), spell(path))
        else:
            yield _fault_in(path, message, document)


def _unknown(path: DocumentPath, message: UnknownKey, document: Document) -> Fault:
    text = message.with_key() if may_name(path) else str(message)
    return Fault(document.locate(path, key=True), text, spell(printable(path)) or None)


def _explain_empty(path: DocumentPath, document: Document) -> str:
    scalar = document.scalars.get(path)
    is_marked = scalar is not None and document.text[scalar.start : scalar.end][:1] in {"&", "!"}
    hint = ": text that begins with & or ! must be quoted" if is_marked else ""
    return f"the key '{path[-1]}' has no value{hint}"


def _fault_in(path: DocumentPath, message: str, document: Document) -> Fault:
    """Return a fault of a value: at the wrong character if it can be located, else at the beginning."""
    shown = printable(path)
    key = next((str(part) for part in reversed(shown) if isinstance(part, str)), "")
    position = document.locate(path)
    if isinstance(message, MessageAt) and (within := document.locate_within(path, message.at)):
        position, message = within, message.brief
    return Fault(position, f"{key}: {message}" if key else message, spell(shown) or None)


def _warnings(loaded: Mapping[str, Any], document: Document) -> Iterator[Fault]:
    for path, message in warnings_of(loaded):
        key = spell(path[-1:] if isinstance(path[-1], str) else path[-2:])
        yield Fault(document.locate(path, key=True), f"{key}: {message}", spell(path), "warning")


def _in_block(path: DocumentPath) -> str:
    return f" in '{spell(path[:-1])}'" if len(path) > 1 else ""


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
        "tests": tuple(loaded.get("tests", ())),
        "description": loaded.get("description") or "",
    }
    return Integration(name=name, digest=hashlib.sha256(text.encode()).hexdigest()[:12], **parts)


def _failed_tests(integration: Integration, document: Document) -> Iterator[Fault]:
    for index, test in enumerate(integration.tests):
        if problem := _run(test, integration):
            path = ("tests", index)
            yield Fault(document.locate(path), f"tests: '{test.name}' {problem}", spell(path))


def _run(test: MappingTest, integration: Integration) -> str | None:
    """Return why `test` failed, or None."""
    expect = test.expect
    for mapped in map_payload(integration, test.payload):
        match mapped:
            case Update(iem_state=state):
                seen, good = f"relayed with state {state}", expect.state == state
            case Ignored(reason=reason):
                seen, good = f"ignored ({reason})", expect.ignored is True
            case Rejected(errors=errors):
                fields = [error.field for error in errors]
                seen, good = f"rejected ({errors[0].field}: {errors[0].problem})", expect.rejected in fields
        if not good:
            return f"expects {_describe(expect)}, but the payload is {seen}"
    return None


def _describe(expect: Expectation) -> str:
    if expect.state is not None:
        return f"state {expect.state}"
    return "ignored" if expect.ignored else f"rejected because of {expect.rejected}"
