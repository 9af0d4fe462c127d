"""Readers of what stands elsewhere: `{env: NAME}` and `{file: PATH}`, and URLs. No message has anything of the value in it."""

from __future__ import annotations

import difflib
import re
from typing import Any

from marshmallow import ValidationError

from relay.core.integration import Env, File, Plain, Secret, Text
from relay.core.urls import URL, check_url
from relay.mapping_files.reading import Shape, shape_of, shaped
from relay.mapping_files.unknown_keys import explain_unknown
from relay.mapping_files.value_readers import read_text

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEYS = ("env", "file")


def is_env_name(text: str) -> bool:
    """Tell whether `text` can be the name of an environment variable."""
    return _ENV_NAME.fullmatch(text) is not None


def _reference(key: str, shape: Shape, example: str) -> Shape:
    properties = {key: {"description": f"where it stands: {example}", "examples": [example], **shape}}
    return {"type": "object", "properties": properties, "required": [key], "additionalProperties": False}


_REFERENCES = [
    _reference("env", {"type": ["string", "boolean"], "pattern": f"^{_ENV_NAME.pattern}$"}, "ACME_PASSWORD"),
    _reference("file", {"type": ["string", "number", "boolean"], "minLength": 1}, "/run/secrets/acme"),
]


@shaped({"anyOf": _REFERENCES, "examples": [{"env": "ACME_PASSWORD"}, {"file": "/run/secrets/acme"}]})
def read_secret(value: Any) -> Secret:
    """Return where a secret stands: `{env: NAME}` or `{file: PATH}`; never the secret itself."""
    if isinstance(value, dict) and (misspelt := _misspelt(value)):
        raise ValidationError({key: [explain_unknown(key, _SECRET_KEYS)] for key in misspelt})
    match value:
        case {"env": str(name), **rest} if not rest:
            if not is_env_name(name):
                raise ValidationError("not the name of an environment variable: letters, digits and _")
            return Env(name)
        case {"file": str(path), **rest} if not rest and path:
            return File(path)
        case dict() | list() | None:
            raise ValidationError("expected a secret: {env: NAME} or {file: PATH}")
        case _:
            raise ValidationError("a secret must not stand in this file: write {env: NAME} or {file: PATH} instead")


def _misspelt(secret: dict[str, Any]) -> list[str]:
    """Return the keys that were meant to be others. The rest is not told: `{s3cret}` is a key too."""
    return [key for key in secret if key not in _SECRET_KEYS and difflib.get_close_matches(key, _SECRET_KEYS)]


@shaped({"anyOf": [shape_of(read_text), *_REFERENCES]})
def read_setting(value: Any) -> Text:
    """Return text, or where it stands."""
    return read_secret(value) if isinstance(value, dict) else Plain(read_text(value))


@shaped({"anyOf": [{"type": "string", "pattern": URL}, *_REFERENCES]})
def read_url(value: Any) -> Text:
    """Return a base URL that `check_url` finds good, or where it stands."""
    url = read_setting(value)
    if isinstance(url, Plain) and (fault := check_url(url.text)):
        raise ValidationError(fault)
    return url
