"""Readers of `{env: NAME}` and `{file: PATH}`, and of URLs. No message contains any part of the value."""

from __future__ import annotations

import difflib
import re
from typing import Any

from marshmallow import ValidationError

from relay.core.references import Env, File, Plain, Secret, Text
from relay.core.urls import URL, check_url
from relay.mapping_files.reader_field import Shape, one_or_more, shape_of, shaped
from relay.mapping_files.unknown_keys import explain_unknown
from relay.mapping_files.value_readers import read_text

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEYS = ("env", "file")


def is_env_name(text: str) -> bool:
    """Return whether `text` can be the name of an environment variable."""
    return _ENV_NAME.fullmatch(text) is not None


def _reference(key: str, description: str, shape: Shape, example: str) -> Shape:
    properties = {key: {"description": f"{description}, such as {example}", "examples": [example], **shape}}
    return {"type": "object", "properties": properties, "required": [key], "additionalProperties": False}


_REFERENCES = [
    _reference(
        "env",
        "the environment variable with the value",
        {"type": ["string", "boolean"], "pattern": f"^{_ENV_NAME.pattern}$"},
        "ACME_PASSWORD",
    ),
    _reference(
        "file",
        "the path of the file with the value",
        {"type": ["string", "number", "boolean"], "minLength": 1},
        "/run/secrets/acme",
    ),
]


@shaped({"anyOf": _REFERENCES, "examples": [{"env": "ACME_PASSWORD"}, {"file": "/run/secrets/acme"}]})
def read_secret(value: Any) -> Secret:
    """Return the reference `{env: NAME}` or `{file: PATH}`; the secret itself is an error."""
    if isinstance(value, dict) and (misspelt := _misspelt_keys(value)):
        raise ValidationError({key: [explain_unknown(key, _SECRET_KEYS)] for key in misspelt})
    match value:
        case {"env": str(name), **rest} if not rest:
            if not is_env_name(name):
                raise ValidationError("not the name of an environment variable: use letters, digits and _")
            return Env(name)
        case {"file": str(path), **rest} if not rest and path:
            return File(path)
        case dict() | list() | None:
            raise ValidationError("expected a secret: {env: NAME} or {file: PATH}")
        case _:
            raise ValidationError("do not write a secret into this file: write {env: NAME} or {file: PATH} instead")


read_secrets = one_or_more(read_secret, "secret")


def _misspelt_keys(secret: dict[str, Any]) -> list[str]:
    """Return the keys that are misspellings. Other keys are not named in messages: `{s3cret}` is a key too."""
    return [key for key in secret if key not in _SECRET_KEYS and difflib.get_close_matches(key, _SECRET_KEYS)]


@shaped({"anyOf": [shape_of(read_text), *_REFERENCES]})
def read_text_or_reference(value: Any) -> Text:
    """Return text, or a reference to it."""
    return read_secret(value) if isinstance(value, dict) else Plain(read_text(value))


@shaped({"anyOf": [{"type": "string", "pattern": URL}, *_REFERENCES]})
def read_url(value: Any) -> Text:
    """Return a base URL that `check_url` accepts, or a reference to one."""
    url = read_text_or_reference(value)
    if isinstance(url, Plain) and (fault := check_url(url.text)):
        raise ValidationError(fault)
    return url
