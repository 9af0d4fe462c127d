"""The cookies of one session. They are passed to each call; connections keep none."""

from __future__ import annotations

from http.cookiejar import CookieJar

import requests
from requests.cookies import extract_cookies_to_jar, get_cookie_header
from urllib3 import BaseHTTPResponse


class SessionCookies:
    """Cookies (RFC 6265, as `http.cookiejar` implements it). Thread-safe. The repr shows no values."""

    __slots__ = ("_cookies",)

    def __init__(self) -> None:
        self._cookies = CookieJar()

    def __repr__(self) -> str:
        return f"SessionCookies({len(self._cookies)} cookies)"

    def header_for(self, request: requests.PreparedRequest) -> str | None:
        """Return the Cookie header for `request`, or None if no cookie matches."""
        header: str | None = get_cookie_header(self._cookies, request)
        return header

    def keep(self, request: requests.PreparedRequest, response: BaseHTTPResponse) -> None:
        """Store the cookies that `response` sets."""
        extract_cookies_to_jar(self._cookies, request, response)

    def drop_those_of(self, other: SessionCookies) -> None:
        """Remove each cookie that `other` has with the same value: it belongs to the other session."""
        theirs = {(cookie.domain, cookie.path, cookie.name, cookie.value) for cookie in other._cookies}
        for cookie in list(self._cookies):
            if (cookie.domain, cookie.path, cookie.name, cookie.value) in theirs:
                self._cookies.clear(cookie.domain, cookie.path, cookie.name)
