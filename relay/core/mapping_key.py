"""How a key of the mapping file is declared: as a dataclass field with a `Key` in its metadata.

From these declarations `relay.mapping_files` makes the schema that reads mapping files, `mappings/schema.json`, and the tables of
`docs/mapping-files/reference.md`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from relay.core.units import parse_duration


class Kind(StrEnum):
    """The kinds of values that keys have, as the reference names them. `relay.mapping_files` has a reader for each kind."""

    TEXT = "text"
    TEXT_OR_REFERENCE = "text or reference"
    URL = "URL or reference"
    SECRET = "secret"  # noqa: S105 - not a secret
    SECRETS = "secret, or list of secrets"
    FILE = "path of a file"
    HTTP_NAME = "HTTP name"
    BOOLEAN = "`true` or `false`"
    TRUE = "`true`"
    INTEGER = "whole number"
    PATH = "path"
    PATHS = "path, or list of paths"
    PATTERN = "regular expression"
    NETWORKS = "address or network, or a list of them"
    STATES = "states"
    TABLES = "tables"
    AUTHENTICATIONS = "list of methods, or `none`"
    ANY = "any value"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds, written as `30s`, `10m`, `24h` or `30d`, within bounds."""

    minimum: str
    maximum: str

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        return f"{self.minimum} to {self.maximum}"


@dataclass(frozen=True, slots=True)
class Range:
    """A whole number within bounds."""

    minimum: int
    maximum: int

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        return f"{self.minimum} to {self.maximum}"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of keys, which are the fields of a dataclass."""

    keys: type[Any]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of blocks."""

    keys: type[Any]


AnyKind = Kind | Choice | Duration | Range | Block | ListOf


class Presence(Enum):
    """How a key without a default value is treated."""

    REQUIRED = "required"
    #: The source's preset has the default.
    FROM_SOURCE = "from the source"
    #: The key can be left out, but not left empty.
    OPTIONAL = "none"


@dataclass(frozen=True, slots=True)
class Key:
    """The declaration of one key."""

    kind: AnyKind
    #: What the key does, in Markdown without links: editors and the reference show it.
    meaning: str
    #: As it would be written in a mapping file. With None as default the key can be left empty.
    default: Any | Presence
    example: Any
    #: The name in the mapping file, if it differs from the name of the dataclass field.
    name: str | None
    #: Whether the key affects how a service is reached: a change of it probes a parked integration at once.
    access: bool


def key(
    kind: AnyKind,
    meaning: str,
    *,
    default: Any = Presence.REQUIRED,
    example: Any = None,
    name: str | None = None,
    access: bool = False,
) -> Any:
    """Return a dataclass field that is a key of the mapping file."""
    metadata = {"key": Key(kind, meaning, default, example, name, access)}
    match default:
        case Presence.REQUIRED | Presence.FROM_SOURCE:
            return dataclasses.field(metadata=metadata)
        case Presence.OPTIONAL:
            return dataclasses.field(default=None, metadata=metadata)
        case dict():
            return dataclasses.field(default_factory=dict, metadata=metadata)
        case str() if isinstance(kind, Duration):
            return dataclasses.field(default=parse_duration(default), metadata=metadata)
        case _:
            return dataclasses.field(default=default, metadata=metadata)


def keys_of(block: type[Any]) -> Iterator[tuple[dataclasses.Field[Any], Key]]:
    """Yield the dataclass fields of `block` that are keys, with their declarations."""
    for field in dataclasses.fields(block):
        if declared := field.metadata.get("key"):
            yield field, declared
