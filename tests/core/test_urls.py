"""Base URLs: `requests` connects to every accepted one, and only loopback hosts can use plain http."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.urls import check_url, normalised_url

SECRET = "s3cr3t-in-a-url"
SCHEMES = st.sampled_from(
    ["https://", "https://", "http://", "HTTPS://", "hTTp://", "ftp://", "https:/", "//", "", "https:\\\\"]
)
USERS = st.sampled_from(["", "", "", "", f"user:{SECRET}@", "@", f"{SECRET}%40", f"127.0.0.1\\@{SECRET}."])
HOSTS = st.sampled_from(
    ["iem.example.com", "localhost", "127.0.0.1", "[::1]", "[::1", "127.1", "0x7f.1", "2130706433", "localhost.evil.com",
     "127.0.0.1.evil.com", "[::ffff:127.0.0.1]", "exa℀mple.com", "例え.jp", "a..b", ".", "*", "-", "host_name", "%31",
     "LOCALHOST", "ⓛocalhost", "x" * 300, "[v1.a]", "[fe80::1%25eth0]"]
)  # fmt: skip
PORTS = st.sampled_from(
    ["", ":", ":0", ":443", ":8443", ":65535", ":65536", ":99999", ":-1", ":８０", ": 80", ":" + "9" * 5_000]
)
PATHS = st.sampled_from(
    ["", "/", "/www_em/", "/../..", "/%2e%2e/", "?a=b", "#a", f"/{SECRET}?", "/a b", "/\r\nX: y", "\\evil", "/\x00"]
)
NEAR_MISSES = st.tuples(SCHEMES, USERS, HOSTS, PORTS, PATHS).map("".join)


@settings(max_examples=examples(1_000), deadline=None)
@given(NEAR_MISSES | st.text(st.characters(), max_size=60))
def test_any_text_is_a_url_for_requests_or_an_error_that_does_not_quote_it(text: str) -> None:
    fault = check_url(text)

    if fault is not None:
        assert fault
        assert SECRET not in fault
        return
    try:
        prepared = requests.Request("GET", text + "/gbp/push/ACME").prepare()
    except requests.RequestException:
        return  # it is reported as unreachable
    assert prepared.url
    parts, goes_to = urlsplit(text), urlsplit(prepared.url)
    assert goes_to.scheme == parts.scheme
    assert (goes_to.username, goes_to.password, goes_to.query) == (None, None, "")
    assert goes_to.hostname == as_ascii(parts.hostname or "")
    assert goes_to.scheme == "https" or goes_to.hostname in {"localhost", "127.0.0.1", "::1"}
    assert goes_to.path.endswith("/gbp/push/ACME")


@given(NEAR_MISSES)
def test_a_trailing_slash_makes_no_difference(text: str) -> None:
    if check_url(text) is None:
        assert normalised_url(text) == normalised_url(text.rstrip("/") + "/")


@pytest.mark.parametrize(
    "host", ["example.com", "127.0.0.2", "[::2]", "localhost.", "0.0.0.0", "127.0.0.1.example.com"]
)
def test_http_is_accepted_for_loopback_only(host: str) -> None:
    assert check_url(f"http://{host}") is not None
    assert check_url("http://127.0.0.1:8080") is None


def as_ascii(host: str) -> str:
    """Return a host as it is sent."""
    prepared = requests.Request("GET", f"https://{f'[{host}]' if ':' in host else host}/").prepare()
    return urlsplit(prepared.url or "").hostname or ""
