"""One HTTP POST, bounded in time and size: no redirects, no proxies, no cookies of its own, TLS verified."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from relay import __version__
from relay.core.outcomes import Answer
from relay.iem.deadline import DeadlineAdapter, deadline_after

#: A longer answer is none of IEM's (bytes).
MOST_ANSWER = 1 << 20
_CHUNK = 1 << 16
_MOST_MESSAGE = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the answer as the outcomes' table wants it, and the body where it was a JSON object."""

    answer: Answer
    content: Mapping[str, Any]


class Poster:
    """Posts to one base URL over kept-alive connections; threads share it."""

    def __init__(
        self, base_url: str, *, ca_file: str | None, connections: int, now: Callable[[], float] = time.time
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._now = now
        self._verify: str | bool = ca_file or True
        self._session = requests.Session()
        self._session.trust_env = False
        # A session's own cookie jar is not safe to share between threads: it keeps none, the token goes as a header.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = DeadlineAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def post(self, path: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float) -> Reply:
        """Post `body` to `path` and return what came back within `timeout` seconds; what went wrong is in the answer."""
        common = {"User-Agent": f"itsm-webhook-relay/{__version__}", "Accept": "application/json"}
        request = requests.Request("POST", self._base_url + path, headers={**common, **headers}, data=body)
        try:
            with deadline_after(timeout):
                response = self._session.send(
                    request.prepare(), timeout=timeout, allow_redirects=False, stream=True, verify=self._verify
                )
                with response:
                    return self._read(response)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return Reply(Answer(None, fault=_describe(error)), {})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _read(self, response: requests.Response) -> Reply:
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > MOST_ANSWER:
                return Reply(Answer(None, fault=f"an answer of more than {MOST_ANSWER >> 20} MiB"), {})
        content = _parse(bytes(body))
        retry_after = _retry_after(response.headers.get("Retry-After"), self._now())
        return Reply(Answer(response.status_code, _message_of(content, response.status_code), retry_after), content)


def _parse(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _message_of(content: Mapping[str, Any], status: int) -> str | None:
    """Return what IEM says: success in `message` alone, a refusal in `detail` too (guide section 3)."""
    for name in ("message",) if status == 200 else ("message", "detail", "msg"):
        text = content.get(name)
        if isinstance(text, str) and text:
            return text[:_MOST_MESSAGE]
    return None


def _retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110 section 10.2.3: seconds or a date)."""
    if not text:
        return None
    if re.fullmatch(r"\d{1,9}", text.strip()):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(now, UTC)).total_seconds())


def _describe(error: Exception) -> str:
    """Return the kind of failure and its innermost cause, without the URL and whatever else may stand in the text."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None and not isinstance(cause, OSError):
        cause = inner
    kind = type(error).__name__
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(cause).__name__
    return f"{kind}: {reason}"
