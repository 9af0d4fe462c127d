"""Values of a mapping file that are written elsewhere: in an environment variable or in a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Env:
    """A value in an environment variable."""

    name: str


@dataclass(frozen=True, slots=True)
class File:
    """A value in a file, without the line break at its end."""

    path: str


@dataclass(frozen=True, slots=True)
class Plain:
    """A value in the mapping file itself; never a secret."""

    text: str


Secret = Env | File
Text = Plain | Env | File
