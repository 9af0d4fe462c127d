"""The line with a fault, with a caret below the place. Secrets are masked, including those in the wrong place."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError, fields

from relay.mapping_files.document import Document, Span
from relay.mapping_files.positions import Position
from relay.mapping_files.printable_keys import GUARDED, SECRET, TOP, may_name
from relay.mapping_files.reader_field import ReaderField, shape_of
from relay.mapping_files.reference_readers import is_env_name
from relay.mapping_files.schema import MappingSchema, key_names
from relay.mapping_files.unknown_keys import resembles

_MASK = "•••"
#: Longer lines are cropped (characters).
_MAX_WIDTH = 100
_LINE = re.compile(r"([^\n\r\x85\u2028\u2029]*)(?:\r\n|[\n\r\x85\u2028\u2029]|\Z)")
_KEY = re.compile(r"\s*(?:- +)*([\w-]+)\s*:(?=\s|$)")
_PUNCTUATION = " \t{}[],:"
_WORD = re.compile(r"[^\s{}\[\],:]+")
_BREAK = re.compile(r"[\n\r\x85\u2028\u2029]")
#: A value of one word, with or without quotes.
_SIMPLE = re.compile(r"\s*[\"']?[^\s\"'{}\[\]&*!]+[\"']?\s*")
_NUMBER = re.compile(r"[+-]?[0-9.]{1,6}[a-z]{0,7}")

_NAMES = frozenset(TOP) | {key for block in GUARDED.values() for key in block} | {"env", "file"}


def _plain_keys(schema: Schema) -> Iterator[str]:
    for key, field in key_names(schema).items():
        if isinstance(field, fields.Nested):
            yield from _plain_keys(field.schema)
        elif isinstance(field, ReaderField):
            yield key


_ALL_NAMES = _NAMES | frozenset(_plain_keys(MappingSchema()))
#: Keys whose values are shown even if the text is not valid YAML.
_HARMLESS = _ALL_NAMES - {*SECRET, "auth", "env", "file", "iem", "payload", "url", "username", "virima"}


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A line, and the number of columns before the caret."""

    line: str
    indent: int


def excerpt(document: Document, position: Position) -> Excerpt | None:
    """Return the line of `position` with secrets masked; None if no part of it can be shown."""
    lines = enumerate(_LINE.finditer(document.text), 1)
    found = next((line for number, line in lines if number == position.line), None)
    if found is None or not found[1].strip():
        return None
    is_yaml = document.tree is not None
    pieces = _pieces(document, found[1], found.start()) if is_yaml else _pieces_of_text(found[1])
    shown, caret, at = "", 0, position.column - 1
    for start, end, text in pieces:
        if start <= at:
            caret = len(shown) + min(at - start, len(text) if text == _MASK else end - start)
        shown += text
    return _crop(_printable(shown), caret) if shown.strip() else None


def _pieces(document: Document, line: str, offset: int) -> list[tuple[int, int, str]]:
    """Return the parts of a line that was read, with their places in it. Parts that are not known to be harmless are masked."""
    here = [span for span in document.spans if span.start < offset + len(line) and span.end > offset]
    # Sets, because aliases have the place of their anchor: thousands of them are one place.
    everything = {(span.start, span.end) for span in here}
    hidden = {(span.start, span.end) for span in here if not _is_harmless(span, document)}
    shown = bytearray(len(line))
    for harmless, spans in ((b"\x01", everything), (b"\x00", hidden)):
        for span_start, span_end in spans:
            start, end = max(0, span_start - offset), min(len(line), span_end - offset)
            shown[start:end] = harmless * (end - start)
    return _join(line, shown)


def _pieces_of_text(line: str) -> list[tuple[int, int, str]]:
    """Return the parts of a line that is not valid YAML: its key, and the value if the key never has a secret."""
    key = _KEY.match(line)
    if key is None:
        return []
    if not resembles(key[1], _ALL_NAMES):
        return [(0, key.start(1), line[: key.start(1)]), (key.start(1), len(line), _MASK)]
    if _is_harmless_text(key[1], line[key.end() :]):
        return [(0, len(line), line)]
    pieces = [(0, key.end(), line[: key.end()])]
    start = key.end() + 1
    return [*pieces, (key.end(), start, " "), (start, len(line), _MASK)] if line[start:].strip() else pieces


def _is_harmless_text(key: str, value: str) -> bool:
    if key not in _HARMLESS or not _SIMPLE.fullmatch(value):
        return False
    known = [block[key] for block in GUARDED.values() if key in block]
    return not known or any(_fits(field, value.strip(" \t\"'")) for field in known)


def _join(line: str, shown: bytearray) -> list[tuple[int, int, str]]:
    pieces: list[tuple[int, int, str]] = []
    done = 0
    for word in _WORD.finditer(line):
        start, end = word.span()
        if all(shown[start:end]) or word[0] == "-":
            continue
        pieces += [(done, start, line[done:start]), (start, end, _MASK)]
        done = end
    pieces.append((done, len(line), line[done:]))
    return _without_runs(pieces)


def _without_runs(pieces: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return the pieces with adjacent masked words merged: neither their number nor their lengths are shown."""
    kept: list[tuple[int, int, str]] = []
    for piece in pieces:
        if piece[2] == _MASK and len(kept) > 1 and kept[-2][2] == _MASK and not kept[-1][2].strip(_PUNCTUATION):
            start = kept[-2][0]
            del kept[-2:]
            kept.append((start, piece[1], _MASK))
        else:
            kept.append(piece)
    return kept


def _is_harmless(span: Span, document: Document) -> bool:
    if span.is_key:
        return may_name(span.path)
    top = span.path[0] if span.path else None
    if span.style not in {"|", ">"} and _BREAK.search(document.text, span.start, span.end):
        return False  # probably not meant to continue on the next line
    return _is_harmless_setting(span, document) if top in GUARDED else top in TOP


def _is_harmless_setting(span: Span, document: Document) -> bool:
    """Return whether a value in a block with credentials can be shown: the key is not secret and the value fits it."""
    block, *below = span.path
    names = [part for part in below if isinstance(part, str)]
    if not names or names[0] not in GUARDED[str(block)] or isinstance(below[-1], int):
        return False
    if len(names) > 1:
        return names[-1] == "env" and is_env_name(span.value) and _is_alone(span, document)
    field = GUARDED[str(block)][names[0]]
    return names[0] not in SECRET and _SIMPLE.fullmatch(span.value) is not None and _fits(field, span.value)


def _is_alone(span: Span, document: Document) -> bool:
    """Return whether the value belongs to the only key of its mapping: with a second key it is not a reference."""
    mapping = document.tree
    try:
        for part in span.path[:-1]:
            mapping = mapping[part]
    except (KeyError, IndexError, TypeError):
        return False  # within a duplicate key, whose first value is in the tree
    return isinstance(mapping, dict) and len(mapping) == 1


def _fits(field: fields.Field[Any], value: str) -> bool:
    try:
        field.deserialize(value)
    except ValidationError:
        choices = shape_of(field.read).get("enum", ()) if isinstance(field, ReaderField) else ()
        return _NUMBER.fullmatch(value) is not None or resembles(value, frozenset(choices))
    return True


def _printable(text: str) -> str:
    return "".join("→" if char == "\t" else char if char.isprintable() else "?" for char in text)


def _crop(line: str, caret: int) -> Excerpt:
    start = 0 if len(line) <= _MAX_WIDTH else max(0, min(caret - _MAX_WIDTH // 2, len(line) - _MAX_WIDTH))
    lead = "…" if start else ""
    end = start + _MAX_WIDTH
    width = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in lead + line[start:caret])
    return Excerpt(f"{lead}{line[start:end].rstrip()}{'…' if end < len(line) else ''}", width)
