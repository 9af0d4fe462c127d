"""Which keys of a mapping file messages and excerpts can name: a key can contain a secret that was written in the wrong place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from relay.mapping_files.document import DocumentPath
from relay.mapping_files.reader_field import ReaderField
from relay.mapping_files.reference_readers import read_secret, read_secrets
from relay.mapping_files.schema import AUTH_SCHEMAS, MappingSchema, key_names
from relay.mapping_files.unknown_keys import resembles

#: The keys at the top level of a file.
TOP: Mapping[str, fields.Field[Any]] = key_names(MappingSchema())


def _keys_of(block: str) -> Mapping[str, fields.Field[Any]]:
    field = TOP[block]
    assert isinstance(field, fields.Nested)
    return key_names(field.schema)


#: The blocks with credentials, and their keys.
GUARDED: Mapping[str, Mapping[str, fields.Field[Any]]] = {
    "auth": {key: field for schema in AUTH_SCHEMAS.values() for key, field in key_names(schema).items()},
    "iem": _keys_of("iem"),
    "virima": _keys_of("virima"),
}
#: The keys in those blocks whose values are secrets.
SECRET = frozenset(
    key
    for block in GUARDED.values()
    for key, field in block.items()
    if isinstance(field, ReaderField) and field.read in {read_secret, read_secrets}
)
_TOP_KEYS = frozenset(TOP)
_OPEN = _TOP_KEYS - GUARDED.keys()
_REFERENCE_KEYS = frozenset({"env", "file"})
_GUARDED_KEYS = frozenset(key for block in GUARDED.values() for key in block) | _REFERENCE_KEYS
_WORD = re.compile(r"[A-Za-z_][\w-]{0,39}")
_MAX_LENGTH = 100


def may_name(path: DocumentPath) -> bool:
    """Return whether a message can name the key at the end of `path`."""
    key = str(path[-1])
    if not key.isprintable() or len(key) > _MAX_LENGTH:
        return False
    if len(path) == 1:
        return _WORD.fullmatch(key) is not None or resembles(key, _TOP_KEYS)
    # In the value of a secret, a key such as `9Secret7` is rather a part of it than a misspelling of `secret`.
    known = _GUARDED_KEYS if SECRET.isdisjoint(path[1:-1]) else _REFERENCE_KEYS
    return path[0] in _OPEN or resembles(key, known)


def printable(path: DocumentPath) -> DocumentPath:
    """Return `path` up to the first key that a message cannot name."""
    for end in range(1, len(path) + 1):
        if isinstance(path[end - 1], str) and not may_name(path[:end]):
            return path[: end - 1]
    return path
