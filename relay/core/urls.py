"""Base URLs that credentials are sent to: which are valid, and which are equivalent."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HOST = r"(?:[^\s/?#@:\\\[\]]+|\[[0-9A-Fa-f:.]+\])"
_REST = r"(?::[0-9]{0,5})?(?:/[^\s?#\\]*)?"
_PORTS = {"http": 80, "https": 443}


def _any_case(text: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" if letter.isalpha() else re.escape(letter) for letter in text)


#: The syntax of a valid URL, also for JSON Schema. `check_url` accepts no other URLs, and refuses impossible hosts and ports.
URL = f"^(?:{_any_case('https')}://{_HOST}|{_any_case('http')}://(?:{'|'.join(map(_any_case, _LOOPBACK))})){_REST}$"
_URL = re.compile(URL)


def check_url(url: str) -> str | None:
    """Return what is wrong with a base URL that credentials are sent to, or None. The text does not quote the URL."""
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        return "a URL must not contain spaces, line breaks or control characters"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "invalid URL: expected a host and an optional port from 0 to 65535, such as https://iem.example.com:8443"
    if parts.scheme not in _PORTS or not parts.hostname:
        return "expected a URL such as https://iem.example.com"
    if "@" in parts.netloc or "?" in url or "#" in url:
        return "a base URL must not contain a user, query or fragment"
    if parts.scheme == "http" and parts.hostname not in {host.strip("[]") for host in _LOOPBACK}:
        return "http would send credentials unencrypted: use https, except for a loopback host"
    return None if _URL.fullmatch(url) else "expected a URL such as https://iem.example.com"


def normalised_url(url: str) -> tuple[str, str, int | None, str]:
    """Return a value that is equal for equivalent valid URLs: all loopback hosts are equal, and a trailing `/` is ignored."""
    parts = urlsplit(url)
    host = "localhost" if parts.hostname in {"127.0.0.1", "::1"} else parts.hostname or ""
    return parts.scheme, host, parts.port or _PORTS.get(parts.scheme), parts.path.rstrip("/")
