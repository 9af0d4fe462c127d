"""How much of a request is here, by a look at its first bytes: whether a thread that works can take it without waiting."""

from __future__ import annotations

import re
from enum import Enum, auto

#: So many bytes are looked at: a longer request is one of the others.
MOST_PEEKED = 1 << 16
#: What has small answers, and is many or urgent.
_SMALL = (b"POST /webhooks/", b"GET /livez", b"GET /readyz", b"GET /healthz")
#: gunicorn refuses a longer head (bytes).
_MOST_HEAD = 1 << 15
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,6})[ \t]*(?=\r\n)", re.IGNORECASE)
#: What makes where the body ends, or when it comes, a matter of more than a length.
_SPECIAL = (b"\r\ntransfer-encoding", b"\r\nexpect", b"\r\nupgrade")


class Sight(Enum):
    """What a look finds."""

    #: A webhook or a probe, all of it.
    WHOLE = auto()
    #: A webhook or a probe of which more must come.
    PART = auto()
    #: Anything else: long ones, those that want an answer before they go on, other calls, what is no request.
    OTHER = auto()


def look(here: bytes) -> Sight:
    """Return what `here` is the beginning of. In doubt it is something else, which has threads of its own."""
    if not here.startswith(_SMALL) and not any(small.startswith(here) for small in _SMALL):
        return Sight.OTHER
    head, end, body = here.partition(b"\r\n\r\n")
    if not end:
        return Sight.PART if len(here) < _MOST_HEAD else Sight.OTHER
    fields = head.lower() + b"\r\n"
    lengths = _LENGTH.findall(fields)
    if (
        len(lengths) != fields.count(b"\r\ncontent-length")
        or len(lengths) > 1
        or any(one in fields for one in _SPECIAL)
    ):
        return Sight.OTHER
    missing = int(lengths[0]) - len(body) if lengths else 0
    if missing <= 0:
        return Sight.WHOLE
    return Sight.PART if len(here) + missing <= MOST_PEEKED else Sight.OTHER
