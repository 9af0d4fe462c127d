"""Durations and sizes as people write them: `30s`, `10m`, `24h`, `30d`; `256KiB`, `1MiB`."""

from __future__ import annotations

import re

#: The syntax of a duration, also for JSON Schema.
DURATION = r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)"
_DURATION = re.compile(DURATION)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
#: Longest number: Python reads some longer ones as infinite, and cannot read others.
_MAX_DIGITS = 30
#: Largest size: 1 EiB.
_MAX_SIZE = 2**60
_SIZE = re.compile(r"([0-9]+)\s*(B|KiB|MiB|GiB|kB|KB|MB|GB)?")
_BYTES = {
    None: 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}


def parse_duration(text: str) -> float:
    """Return the seconds that `text` means. The message of its ValueError shows how to write a duration."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or len(match[1]) > _MAX_DIGITS:
        raise ValueError(f"{text[:40]!r} is not a duration: write a number and a unit, such as 30s, 10m, 24h or 30d")
    return float(match[1]) * _SECONDS[match[2]]


def format_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration` reads back, rounded to milliseconds."""
    milliseconds = round(seconds * 1000)
    for unit in ("d", "h", "m", "s"):
        size = round(_SECONDS[unit] * 1000)
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds < 1000 else f"{milliseconds / 1000}s"


def parse_size(text: str) -> int:
    """Return the bytes that `text` means. The message of its ValueError shows how to write a size."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or len(match[1]) > _MAX_DIGITS or int(match[1]) * _BYTES[match[2]] > _MAX_SIZE:
        raise ValueError(f"{text[:40]!r} is not a size: write bytes, or a number and a unit, such as 256KiB or 1MiB")
    return int(match[1]) * _BYTES[match[2]]
