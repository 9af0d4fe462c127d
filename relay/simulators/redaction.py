"""Removes credentials and tokens from requests before they are logged. Finds them by name, never by value."""

import json
import re
from collections.abc import Mapping

REDACTED = "***"
#: For larger bodies only the size is logged (bytes).
MAX_LOGGED_BODY = 64 * 1024
#: Secret members of bodies and secret query parameters: in lower case, without `_` and `-`.
SECRET_NAMES = frozenset(
    {
        "accesstoken",
        "apikey",
        "clientsecret",
        "clientsessionid",
        "oldsessionid",
        "password",
        "refreshtoken",
        "secret",
        "sessionid",
        "token",
        "twofactorsecretkey",
    }
)
_QUERY_PAIR = re.compile(r"([?&])([^=&]+)=[^&]*")
_COOKIE_PAIR = re.compile(r"=[^;]*")


def clean_target(target: str) -> str:
    """Return path and query without the values of secret parameters."""
    if "?" not in target:
        return target
    return _QUERY_PAIR.sub(lambda pair: f"{pair[1]}{pair[2]}={REDACTED}" if _is_secret(pair[2]) else pair[0], target)


def clean_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers; credentials are reduced to their scheme, cookies to their names."""
    return {name: _clean_header(name, value) for name, value in headers.items()}


def clean_body(body: bytes) -> object:
    """Return the JSON of a body without the values of secret members, or the size of the body."""
    if not body:
        return None
    try:
        return _clean(json.loads(body)) if len(body) <= MAX_LOGGED_BODY else f"{len(body)} bytes"
    except (ValueError, RecursionError):
        return f"{len(body)} bytes, not JSON"


def _clean_header(name: str, value: str) -> str:
    match name:
        case "cookie":
            return _COOKIE_PAIR.sub(f"={REDACTED}", value)
        case "authorization" | "proxy-authorization":
            return f"{value.partition(' ')[0]} {REDACTED}"
        case "x-api-key":
            return REDACTED
        case _:
            return value


def _clean(value: object) -> object:
    match value:
        case dict():
            return {name: REDACTED if _is_secret(name) and held else _clean(held) for name, held in value.items()}
        case list():
            return [_clean(item) for item in value]
        case _:
            return value


def _is_secret(name: str) -> bool:
    return name.lower().replace("_", "").replace("-", "") in SECRET_NAMES
