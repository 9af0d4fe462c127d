"""The line of a mapping file that a fault is about, with a caret under the place. No secret is shown, wherever it was put."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from marshmallow import Schema, fields

from relay.core.document import Document, DocumentPath, Position, Span
from relay.core.readers import Read, check_url, is_env_name, read_secret, read_url
from relay.core.schema import AUTH_SCHEMAS, IemSchema, IntegrationSchema, VirimaSchema, read_secrets

_MASK = "•••"
#: A longer line is shown in part (characters).
_MOST_WIDTH = 100
_LINE = re.compile(r"([^\n\r\x85\u2028\u2029]*)(?:\r\n|[\n\r\x85\u2028\u2029]|\Z)")
_KEY = re.compile(r"\s*(?:- +)*([\w-]+)\s*:(?=\s|$)")
_PUNCTUATION = " \t{}[],:"
_WORD = re.compile(r"[^\s{}\[\],:]+")

_TOP = IntegrationSchema()
_AUTH = {key: field for schema in AUTH_SCHEMAS.values() for key, field in schema.fields.items()}
#: Blocks that hold credentials, with the keys that they know.
_GUARDED = {"auth": _AUTH, "iem": IemSchema().fields, "virima": VirimaSchema().fields}


def _keys_read_by(*reads: object) -> frozenset[str]:
    return frozenset(
        key for block in _GUARDED.values() for key, field in block.items() if getattr(field, "read", None) in reads
    )


_SECRET = _keys_read_by(read_secret, read_secrets)
_URL = _keys_read_by(read_url)


def _plain_keys(schema: Schema) -> Iterator[str]:
    for name, field in schema.fields.items():
        if isinstance(field, fields.Nested):
            yield from _plain_keys(field.schema)
        elif isinstance(field, Read):
            yield field.data_key or name


#: Keys whose values are shown even where the text could not be read as YAML.
_HARMLESS = frozenset(_plain_keys(_TOP)) | _AUTH.keys()
_HARMLESS -= {*_SECRET, *_URL, "auth", "payload", "username"}


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
    hidden = {(one.start, one.end) for one in here if not _is_harmless(one)}
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
    if key[1] in _HARMLESS and not set("{[") & set(line):
        return [(0, len(line), line)]
    pieces = [(0, key.end(), line[: key.end()])]
    start = key.end() + 1
    return [*pieces, (key.end(), start, " "), (start, len(line), _MASK)] if line[start:].strip() else pieces


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


def _is_harmless(span: Span) -> bool:
    path = span.path
    top = path[0] if path else None
    if span.is_key:
        below_secret = top in _GUARDED and any(part in _SECRET for part in path[1:-1])
        return not below_secret or path[-1] in {"env", "file"}
    if top not in _GUARDED:
        return top in {field.data_key or name for name, field in _TOP.fields.items()}
    return _is_harmless_setting(str(top), path, span.value)


def _is_harmless_setting(block: str, path: DocumentPath, value: str) -> bool:
    names = [part for part in path[1:] if isinstance(part, str)]
    if isinstance(path[-1], int) or not names or names[0] not in _GUARDED[block]:
        return False
    if path[-1] == "env":
        return is_env_name(value)
    if names[0] in _SECRET:
        return False
    return check_url(value) is None if names[0] in _URL else len(names) == 1


def _printable(text: str) -> str:
    return "".join("→" if one == "\t" else one if one.isprintable() else "?" for one in text)


def _crop(line: str, caret: int) -> Excerpt:
    start = 0 if len(line) <= _MOST_WIDTH else max(0, min(caret - _MOST_WIDTH // 2, len(line) - _MOST_WIDTH))
    lead = "…" if start else ""
    end = start + _MOST_WIDTH
    width = sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in lead + line[start:caret])
    return Excerpt(f"{lead}{line[start:end].rstrip()}{'…' if end < len(line) else ''}", width)
