"""One HTTP exchange, limited in time and size.

Redirects are not followed, TLS is verified, and only a proxy and cookies that the caller names are used.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from relay import __version__
from relay.http.cookies import SessionCookies
from relay.http.deadline import DeadlineAdapter, deadline_after

#: The longest answer that is read (bytes).
MAX_ANSWER = 1 << 20
#: Prepared URLs that are kept.
_MAX_URLS = 16
#: The text of http.client's error.
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})\b")
#: Sent with every call.
COMMON_HEADERS: Mapping[str, str] = {"User-Agent": f"itsm-webhook-relay/{__version__}", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call, or the reason for its absence. The repr shows nothing of the content."""

    #: None: no answer arrived.
    status: int | None
    #: The body, if it arrived completely and is a JSON object.
    content: Mapping[str, Any] | None = field(default=None, repr=False)
    #: Seconds that `Retry-After` asks for.
    retry_after: float | None = None
    #: Why there is no answer, or only a part of it, for people. It never contains a secret.
    fault: str | None = None
    #: The service's time (Unix seconds, whole), from the `Date` of the answer.
    date: float | None = field(default=None, repr=False, compare=False)


class Caller:
    """Calls one base URL over persistent connections. Thread-safe."""

    def __init__(
        self,
        base_url: str,
        *,
        ca_file: str | None,
        connections: int,
        proxy: str | None = None,
        omit: Collection[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        """`proxy`: its URL; proxies in the environment are not used.

        `omit`: names of JSON members that are dropped while an answer is parsed, in upper or lower case.
        """
        self._base_url = base_url.rstrip("/")
        self._omit = frozenset(name.lower() for name in omit)
        self._now = now
        self._verify: str | bool = ca_file or True
        self._proxies = {urlsplit(base_url).scheme: proxy} if proxy else {}
        # An adapter without a session follows no redirects, ignores the environment, shares no cookies, and is faster.
        self._adapter = DeadlineAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
        self._urls: dict[str, str] = {}

    def exchange(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
        cookies: SessionCookies | None = None,
        keep_in: SessionCookies | None = None,
    ) -> Reply:
        """Send `body` to `path` and return the reply, within `timeout` seconds. A failure is a reply too.

        `cookies` are sent, and cookies that the answer sets are stored in `keep_in`. None: no cookies.
        """
        status = None
        try:
            request = self._prepare(method, path, headers, body)
            if cookies is not None and (cookie_header := cookies.header_for(request)):
                request.headers["Cookie"] = cookie_header
            with deadline_after(timeout):
                response = self._adapter.send(
                    request, stream=True, timeout=timeout, verify=self._verify, proxies=self._proxies
                )
                status = response.status_code
                with response:
                    if keep_in is not None:
                        keep_in.keep(request, response.raw)
                    return self._read(response)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return Reply(status, fault=_describe(error))

    def has_cookies_for(self, path: str, cookies: SessionCookies) -> bool:
        """Return whether a call of `path` would send any of `cookies`."""
        return cookies.header_for(requests.Request("GET", self._base_url + path).prepare()) is not None

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()

    def _prepare(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> requests.PreparedRequest:
        request = requests.PreparedRequest()
        request.prepare_method(method)
        request.url = self._url_of(path)
        request.prepare_headers({**COMMON_HEADERS, **headers})
        request.body = body
        request.prepare_content_length(body)
        request.hooks = {}
        return request

    def _url_of(self, path: str) -> str:
        """Return the URL of `path` as requests spells it. It is cached because most calls have the same path."""
        url = self._urls.get(path)
        if url is None:
            url = requests.Request("GET", self._base_url + path).prepare().url or ""
            if len(self._urls) < _MAX_URLS:
                self._urls[path] = url
        return url

    def _read(self, response: requests.Response) -> Reply:
        body = response.raw.read(MAX_ANSWER + 1, decode_content=True)
        if len(body) > MAX_ANSWER:
            return Reply(response.status_code, fault=f"an answer of more than {MAX_ANSWER >> 20} MiB")
        retry_after = _retry_after(response.headers.get("Retry-After"), self._now())
        date = _read_date(response.headers.get("Date"))
        return Reply(response.status_code, self._parse(body), retry_after, date=date)

    def _parse(self, body: bytes) -> Mapping[str, Any] | None:
        try:
            content = json.loads(body, object_pairs_hook=self._keep_members if self._omit else None)
        except (ValueError, RecursionError):
            return None
        return content if isinstance(content, dict) else None

    def _keep_members(self, members: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in members if name.lower() not in self._omit}


def _retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110 section 10.2.3: seconds or a date)."""
    if not text:
        return None
    if seconds := re.fullmatch(r"\s*(\d{1,9})\s*", text, re.ASCII):
        return float(seconds[1])
    date = _read_date(text)
    return None if date is None else max(0.0, date - now)


@lru_cache(maxsize=64)  # all answers of one second have the same date
def _read_date(text: str | None) -> float | None:
    """Return an HTTP date (RFC 9110 section 5.6.7) in Unix seconds, or None if `text` is not a date."""
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):  # a year or an offset with too many digits
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _describe(error: Exception) -> str:
    """Return the kind of failure and its innermost cause. The full text is not used: it can contain the URL and more."""
    causes: list[BaseException] = [error]
    # The exceptions of requests are OSErrors too; the innermost exception has the cause.
    while (inner := causes[-1].__cause__ or causes[-1].__context__) is not None and inner not in causes:
        causes.append(inner)
    cause = next((text for inner in reversed(causes) if (text := _cause_of(inner))), type(causes[-1]).__name__)
    kind = type(error).__name__
    return cause if cause == kind else f"{kind}: {cause}"


def _cause_of(error: BaseException) -> str | None:
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not accepted: {error.verify_message.rstrip('.')}"
        case socket.gaierror():
            return "the name cannot be resolved"
        case TimeoutError():
            return "no answer in time"
        case OSError() if refusal := _TUNNEL_REFUSED.match(str(error)):
            return f"the proxy refused with HTTP {refusal[1]}"
        case OSError():
            return error.strerror
        case _:
            return None
