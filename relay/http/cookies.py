"""The cookies of one session, as a value that is handed in for each call: no connection keeps any of its own."""

from __future__ import annotations

from http.cookiejar import CookieJar

import requests
from requests.cookies import extract_cookies_to_jar, get_cookie_header
from urllib3 import BaseHTTPResponse


class SessionCookies:
    """Cookies by the rules of RFC 6265, as far as `http.cookiejar` keeps them. Threads may share it; its repr has no value."""

    __slots__ = ("_cookies",)

    def __init__(self) -> None:
        self._cookies = CookieJar()

    def __repr__(self) -> str:
        return f"SessionCookies({len(self._cookies)} cookies)"

    def header_for(self, request: requests.PreparedRequest) -> str | None:
        """Return the Cookie header that goes with `request`, or None where no cookie does."""
        header: str | None = get_cookie_header(self._cookies, request)
        return header

    def keep(self, request: requests.PreparedRequest, response: BaseHTTPResponse) -> None:
        """Keep what `response` sets."""
        extract_cookies_to_jar(self._cookies, request, response)

    def drop_those_of(self, other: SessionCookies) -> None:
        """Forget each cookie that `other` holds with the same value: it belongs to the other session."""
        theirs = {(one.domain, one.path, one.name, one.value) for one in other._cookies}
        for one in list(self._cookies):
            if (one.domain, one.path, one.name, one.value) in theirs:
                self._cookies.clear(one.domain, one.path, one.name)
