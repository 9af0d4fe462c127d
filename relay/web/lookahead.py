"""Classifies a request by the bytes received so far: whether a fast thread can serve it without waiting for its sender."""

from __future__ import annotations

import re
from enum import Enum, auto

#: How much of an incomplete request is buffered (bytes). A longer one counts as `OTHER`.
MAX_BUFFERED = 1 << 16
#: Frequent or urgent requests with small answers.
_FAST = (b"POST /webhooks/", b"GET /livez", b"GET /readyz", b"GET /healthz")
#: gunicorn refuses a longer head (bytes).
_MAX_HEAD = 1 << 15
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,6})[ \t]*(?=\r\n)")
#: Headers that make the end of the body depend on more than a length.
_SPECIAL = (b"\r\ntransfer-encoding", b"\r\nexpect", b"\r\nupgrade")


class RequestState(Enum):
    """What has been received of a request."""

    #: All of a webhook or a probe.
    COMPLETE = auto()
    #: A part of a head or of a webhook.
    PARTIAL = auto()
    #: Anything else: long requests, those that expect an interim response, other paths, and what is not HTTP.
    OTHER = auto()


def classify(received: bytes) -> tuple[RequestState, int]:
    """Return the state of the request that starts with `received`, and its total length in bytes (0 if unknown).

    In doubt the state is `OTHER`: those requests have their own threads.
    """
    end = received.find(_END, 0, _MAX_HEAD)
    if end < 0:
        is_partial = len(received) < _MAX_HEAD and received[:1].isupper()
        return (RequestState.PARTIAL if is_partial else RequestState.OTHER), 0
    if not received.startswith(_FAST):
        return RequestState.OTHER, 0
    fields = received[: end + 2].lower()
    lengths = _LENGTH.findall(fields)
    if (
        len(lengths) != fields.count(b"\r\ncontent-length")
        or len(lengths) > 1
        or any(header in fields for header in _SPECIAL)
    ):
        return RequestState.OTHER, 0
    total = end + len(_END) + (int(lengths[0]) if lengths else 0)
    if total <= len(received):
        return RequestState.COMPLETE, total
    return (RequestState.PARTIAL, total) if total <= MAX_BUFFERED else (RequestState.OTHER, 0)
