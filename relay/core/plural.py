"""Counts in sentences: singular and plural agree."""

from __future__ import annotations


def count_of(number: int, singular: str, plural: str = "") -> str:
    """Return `1 record`, `2 records`; `plural` is needed if it is not the singular with an s."""
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"
