"""The line of a mapping file that a fault is about, with a caret under the place. No secret is shown, wherever it was put."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError, fields

from relay.mapping_files.document import Document, Position, Span
from relay.mapping_files.printable_keys import GUARDED, SECRET, TOP, may_name
from relay.mapping_files.reading import Read, shape_of
from relay.mapping_files.reference_readers import is_env_name
from relay.mapping_files.schema import MappingSchema
from relay.mapping_files.unknown_keys import resembles

_MASK = "•••"
#: A longer line is shown in part (characters).
_MOST_WIDTH = 100
_LINE = re.compile(r"([^\n\r\x85\u2028\u2029]*)(?:\r\n|[\n\r\x85\u2028\u2029]|\Z)")
_KEY = re.compile(r"\s*(?:- +)*([\w-]+)\s*:(?=\s|$)")
_PUNCTUATION = " \t{}[],:"
_WORD = re.compile(r"[^\s{}\[\],:]+")
_BREAK = re.compile(r"[\n\r\x85\u2028\u2029]")
#: A value of one word, in quotes or not.
_SIMPLE = re.compile(r"\s*[\"']?[^\s\"'{}\[\]&*!]+[\"']?\s*")
_NUMBER = re.compile(r"[+-]?[0-9.]{1,6}[a-z]{0,7}")

_NAMES = frozenset(TOP) | {key for block in GUARDED.values() for key in block} | {"env", "file"}


def _plain_keys(schema: Schema) -> Iterator[str]:
    for name, field in schema.fields.items():
        if isinstance(field, fields.Nested):
            yield from _plain_keys(field.schema)
        elif isinstance(field, Read):
            yield field.data_key or name


_ALL_NAMES = _NAMES | frozenset(_plain_keys(MappingSchema()))
#: Keys whose values are shown even where the text could not be read as YAML.
_HARMLESS = _ALL_NAMES - {*SECRET, "auth", "env", "file", "iem", "payload", "url", "username", "virima"}


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A line, and how many columns of blanks stand before the caret."""

    line: str
    indent: int


def excerpt(document: Document, position: Position) -> Excerpt | None:
    """Return the line of `position`, its secrets masked; None where nothing of it can be shown."""
    found = next((one for number, one in enumerate(_LINE.finditer(document.text), 1) if number == position.line), None)
    if found is None or not found[1].strip():
        return None
    pieces = _pieces(document, found[1], found.start()) if document.tree is not None else _pieces_of_text(found[1])
    shown, caret, at = "", 0, position.column - 1
    for start, end, text in pieces:
        if start <= at:
            caret = len(shown) + min(at - start, len(text) if text == _MASK else end - start)
        shown += text
    return _crop(_printable(shown), caret) if shown.strip() else None


def _pieces(document: Document, line: str, offset: int) -> list[tuple[int, int, str]]:
    """Return the parts of a line that was read, each with where it stands: what is not known to be harmless is masked."""
    here = [one for one in document.spans if one.start < offset + len(line) and one.end > offset]
    # Sets, for an alias stands where its anchor does: thousands of them are one place.
    all_of_it = {(one.start, one.end) for one in here}
    hidden = {(one.start, one.end) for one in here if not _is_harmless(one, document.text)}
    shown = bytearray(len(line))
    for harmless, spans in ((b"\x01", all_of_it), (b"\x00", hidden)):
        for span_start, span_end in spans:
            start, end = max(0, span_start - offset), min(len(line), span_end - offset)
            shown[start:end] = harmless * (end - start)
    return _join(line, shown)


def _pieces_of_text(line: str) -> list[tuple[int, int, str]]:
    """Return the parts of a line of a file that is no YAML: its key, and the value of a key that holds no secret."""
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
    return not known or any(_is_read(field, value.strip(" \t\"'")) for field in known)


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
    """Return the pieces with several masked words in a row as one: neither their number nor their lengths are told."""
    kept: list[tuple[int, int, str]] = []
    for piece in pieces:
        if piece[2] == _MASK and len(kept) > 1 and kept[-2][2] == _MASK and not kept[-1][2].strip(_PUNCTUATION):
            start = kept[-2][0]
            del kept[-2:]
            kept.append((start, piece[1], _MASK))
        else:
            kept.append(piece)
    return kept


def _is_harmless(span: Span, text: str) -> bool:
    if span.is_key:
        return may_name(span.path)
    top = span.path[0] if span.path else None
    if span.style not in {"|", ">"} and _BREAK.search(text, span.start, span.end):
        return False  # it went on where it was not meant to, maybe
    return _is_harmless_setting(span) if top in GUARDED else top in TOP


def _is_harmless_setting(span: Span) -> bool:
    """Tell whether a value among credentials may be shown: that of a plain key, of the kind that the key wants."""
    block, *below = span.path
    names = [part for part in below if isinstance(part, str)]
    if not names or names[0] not in GUARDED[str(block)] or isinstance(below[-1], int):
        return False
    if len(names) > 1:
        return names[-1] == "env" and is_env_name(span.value)
    field = GUARDED[str(block)][names[0]]
    return names[0] not in SECRET and _SIMPLE.fullmatch(span.value) is not None and _is_read(field, span.value)


def _is_read(field: fields.Field[Any], value: str) -> bool:
    try:
        field.deserialize(value)
    except ValidationError:
        choices = shape_of(field.read).get("enum", ()) if isinstance(field, Read) else ()
        return _NUMBER.fullmatch(value) is not None or resembles(value, frozenset(choices))
    return True


def _printable(text: str) -> str:
    return "".join("→" if one == "\t" else one if one.isprintable() else "?" for one in text)


def _crop(line: str, caret: int) -> Excerpt:
    start = 0 if len(line) <= _MOST_WIDTH else max(0, min(caret - _MOST_WIDTH // 2, len(line) - _MOST_WIDTH))
    lead = "…" if start else ""
    end = start + _MOST_WIDTH
    width = sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in lead + line[start:caret])
    return Excerpt(f"{lead}{line[start:end].rstrip()}{'…' if end < len(line) else ''}", width)
