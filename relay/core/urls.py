"""Base URLs that credentials are sent to: which are good, and which two are the same place."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HOST = r"(?:[^\s/?#@:\\\[\]]+|\[[0-9A-Fa-f:.]+\])"
_REST = r"(?::[0-9]{0,5})?(?:/[^\s?#\\]*)?"
_PORTS = {"http": 80, "https": 443}


def _any_case(text: str) -> str:
    return "".join(f"[{one.upper()}{one}]" if one.isalpha() else re.escape(one) for one in text)


#: A good URL, for whoever checks it elsewhere: `check_url` takes no other, and of these refuses hosts and ports that cannot be.
URL = f"^(?:{_any_case('https')}://{_HOST}|{_any_case('http')}://(?:{'|'.join(map(_any_case, _LOOPBACK))})){_REST}$"
_URL = re.compile(URL)


def check_url(url: str) -> str | None:
    """Return what is wrong with a base URL that credentials are sent to, or None. Nothing of the URL is in the answer."""
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        return "a URL has no blanks, line breaks or control characters in it"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "not a URL: expected a host, then a port from 0 to 65535 at most, such as https://iem.example.com:8443"
    if parts.scheme not in _PORTS or not parts.hostname:
        return "expected a URL such as https://iem.example.com"
    if "@" in parts.netloc or "?" in url or "#" in url:
        return "a base URL has no user, query or fragment"
    if parts.scheme == "http" and parts.hostname not in {one.strip("[]") for one in _LOOPBACK}:
        return "http would send credentials in the clear: only https, but for a loopback host"
    return None if _URL.fullmatch(url) else "expected a URL such as https://iem.example.com"


def normalised_url(url: str) -> tuple[str, str, int | None, str]:
    """Return what two good URLs have in common if they are one place: loopback hosts are one, and so are `/` and nothing."""
    parts = urlsplit(url)
    host = "localhost" if parts.hostname in {"127.0.0.1", "::1"} else parts.hostname or ""
    return parts.scheme, host, parts.port or _PORTS.get(parts.scheme), parts.path.rstrip("/")
