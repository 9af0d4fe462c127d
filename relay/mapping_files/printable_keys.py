"""Which keys of a mapping file may be told in messages and shown in excerpts: text that slipped into a key may be a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from relay.mapping_files.document import DocumentPath
from relay.mapping_files.reading import Read
from relay.mapping_files.reference_readers import read_secret
from relay.mapping_files.schema import AUTH_SCHEMAS, IemSchema, MappingSchema, VirimaSchema, read_secrets
from relay.mapping_files.unknown_keys import resembles

#: Blocks that hold credentials, with the keys that they know.
GUARDED: Mapping[str, Mapping[str, fields.Field[Any]]] = {
    "auth": {key: field for schema in AUTH_SCHEMAS.values() for key, field in schema.fields.items()},
    "iem": IemSchema().fields,
    "virima": VirimaSchema().fields,
}
#: Their keys whose values are secrets.
SECRET = frozenset(
    key
    for block in GUARDED.values()
    for key, field in block.items()
    if isinstance(field, Read) and field.read in {read_secret, read_secrets}
)
#: Keys at the top of a file.
TOP: Mapping[str, fields.Field[Any]] = {field.data_key or name: field for name, field in MappingSchema().fields.items()}
_TOP_KEYS = frozenset(TOP)
_OPEN = _TOP_KEYS - GUARDED.keys()
_GUARDED_KEYS = frozenset(key for block in GUARDED.values() for key in block) | {"env", "file"}
_WORD = re.compile(r"[A-Za-z_][\w-]{0,39}")
_MOST_LENGTH = 100


def may_name(path: DocumentPath) -> bool:
    """Tell whether the key at the end of `path` may be told."""
    key = str(path[-1])
    if not key.isprintable() or len(key) > _MOST_LENGTH:
        return False
    if len(path) == 1:
        return _WORD.fullmatch(key) is not None or resembles(key, _TOP_KEYS)
    return path[0] in _OPEN or resembles(key, _GUARDED_KEYS)


def tellable(path: DocumentPath) -> DocumentPath:
    """Return `path`, up to the first key that may not be told."""
    for end in range(1, len(path) + 1):
        if isinstance(path[end - 1], str) and not may_name(path[:end]):
            return path[: end - 1]
    return path
