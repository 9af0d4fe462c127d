"""How much of a request is here, by a look at its first bytes: whether a thread that works can take it without waiting."""

from __future__ import annotations

import re
from enum import Enum, auto

#: So many bytes are kept while a request is incomplete: a longer one is one of the others.
MOST_KEPT = 1 << 16
#: What has small answers, and is many or urgent.
_SMALL = (b"POST /webhooks/", b"GET /livez", b"GET /readyz", b"GET /healthz")
#: gunicorn refuses a longer head (bytes).
_MOST_HEAD = 1 << 15
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,6})[ \t]*(?=\r\n)")
#: What makes where the body ends, or when it comes, a matter of more than a length.
_SPECIAL = (b"\r\ntransfer-encoding", b"\r\nexpect", b"\r\nupgrade")


class Sight(Enum):
    """What a look finds."""

    #: A webhook or a probe, all of it.
    WHOLE = auto()
    #: A head, or a webhook, of which more must come.
    PART = auto()
    #: Anything else: long ones, those that want an answer before they go on, other calls, what is no request.
    OTHER = auto()


def look(here: bytes) -> tuple[Sight, int]:
    """Return what `here` is the beginning of, and how long that is in all (bytes), where it is known of a part.

    In doubt it is something else, which has threads of its own.
    """
    end = here.find(_END, 0, _MOST_HEAD)
    if end < 0:
        return (Sight.PART if len(here) < _MOST_HEAD and here[:1].isupper() else Sight.OTHER), 0
    if not here.startswith(_SMALL):
        return Sight.OTHER, 0
    fields = here[: end + 2].lower()
    lengths = _LENGTH.findall(fields)
    if (
        len(lengths) != fields.count(b"\r\ncontent-length")
        or len(lengths) > 1
        or any(one in fields for one in _SPECIAL)
    ):
        return Sight.OTHER, 0
    whole = end + len(_END) + (int(lengths[0]) if lengths else 0)
    if whole <= len(here):
        return Sight.WHOLE, whole
    return (Sight.PART, whole) if whole <= MOST_KEPT else (Sight.OTHER, 0)
