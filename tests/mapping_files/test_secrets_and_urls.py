"""Secrets and URLs in mapping files: plain secrets are refused, and no message quotes one."""

from __future__ import annotations

import pytest
from mapping_files.mapping_texts import FULL, MINIMAL, NOT_SECRET, faults_of

from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets

WANTS_SECRET = "expected a secret: {env: NAME} or {file: PATH}"


@pytest.mark.parametrize(
    ("before", "after", "faults"),
    [
        (
            "  password: ",
            "  password ",
            [
                "3:1: missing key 'password' in 'iem'",
                "8:3: unknown key; a colon and a space are missing after 'password'",
            ],
        ),
        (
            "  username: ",
            "  username relay: ",
            [
                "3:1: missing key 'username' in 'iem'",
                "7:3: unknown key; a colon and a space are missing after 'username'",
            ],
        ),
        (
            "  username: relay@example.com\n  password: {env: ACME_IEM_PASSWORD}",
            "  username: relay\n    password hunter2",
            [
                "3:1: missing key 'password' in 'iem'",
                "8:5: the value above continues here: are a colon and a space missing?",
            ],
        ),
        (
            "{env: ACME_IEM_PASSWORD}",
            "&hunter2",
            ["8:3: the key 'password' has no value: text that begins with & or ! must be quoted"],
        ),
    ],
)
def test_a_slip_in_a_block_with_credentials_is_reported_without_them(
    before: str, after: str, faults: list[str]
) -> None:
    assert faults_of(MINIMAL.replace(before, after)) == faults


@pytest.mark.parametrize("key", ["hunter2", "password hunter2", "password:hunter2", "passwordhunter2", "x" * 200])
def test_only_a_key_like_a_known_one_is_named_in_a_block_with_credentials(key: str) -> None:
    text = MINIMAL.replace("iem:", f"iem:\n  '{key}': 1\n  '{key}': 2\n  usrname: a").replace("auth: none", "auth: {}")

    parsed = parse_mapping_file("acme", text, load_presets())

    reported = str([(fault.message, fault.key) for fault in parsed.faults])
    assert key not in reported
    assert "unknown key 'usrname'; did you mean 'username'?" in reported


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("password: {env: ACME_WEBHOOK_PASSWORD}", "password: %s", "password"),
        ("secret: [{env: ACME_HMAC_NEW}, {env: ACME_HMAC_OLD}]", "secret: %s", "secret"),
        ("secret: [{env: ACME_HMAC_NEW}, {env: ACME_HMAC_OLD}]", "secret: [{env: ACME_HMAC_NEW}, %s]", "secret"),
        ("value: {file: /run/secrets/acme_key}", "value: %s", "value"),
        ("secret: {env: ACME_WHSEC}", "secret: %s", "secret"),
        ("password: {env: ACME_IEM_PASSWORD}", "password: %s", "password"),
        ("password: {env: VIRIMA_PASSWORD}", "password: %s", "password"),
    ],
)
@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("hunter2", NOT_SECRET),
        ('"hunter2"', NOT_SECRET),
        ("1234567", NOT_SECRET),
        ("{hunter2}", WANTS_SECRET),
        ("{plain: hunter2}", WANTS_SECRET),
        ("{env: A, file: hunter2}", WANTS_SECRET),
        ("{env: [hunter2]}", WANTS_SECRET),
        ("{file: ''}", WANTS_SECRET),
        ("{env: hunter2!}", "not the name of an environment variable: use letters, digits and _"),
    ],
)
def test_a_plain_secret_is_refused_everywhere_and_not_quoted(
    before: str, after: str, key: str, written: str, problem: str
) -> None:
    assert FULL.count(before) == 1
    text = FULL.replace(before, after % written)
    at = text.index(after % written) + after.index("%s")
    line, column = text.count("\n", 0, at) + 1, at - text.rindex("\n", 0, at)

    faults = faults_of(text)

    assert faults == [f"{line}:{column}: {key}: {problem}"]
    assert "hunter2" not in faults[0]


@pytest.mark.parametrize("key", ["password", "url", "username"])
def test_a_secret_in_another_key_is_not_quoted(key: str) -> None:
    faults = faults_of(MINIMAL.replace(f"  {key}:", f"  {key}: &x hunter2\n  {key}x:"))

    assert faults
    assert not any("hunter2" in fault for fault in faults)


@pytest.mark.parametrize(
    "url",
    [
        "https://iem.example.com",
        "https://iem.example.com:8443/base/",
        "HTTPS://IEM.EXAMPLE.COM",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:8080/",
        "http://LOCALHOST",
        "https://iem.example.com/a@b",
        "{env: ACME_IEM_URL}",
        "{file: /run/secrets/iem_url}",
    ],
)
def test_a_url_is_https_or_loopback_or_a_reference(url: str) -> None:
    assert faults_of(MINIMAL.replace("https://iem.example.com", f'"{url}"' if "{" not in url else url)) == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://iem.example.com", "http would send credentials unencrypted: use https, except for a loopback host"),
        ("http://10.0.0.1", "http would send credentials unencrypted: use https, except for a loopback host"),
        (
            "http://localhost.example.com",
            "http would send credentials unencrypted: use https, except for a loopback host",
        ),
        ("http://127.0.0.1@iem.example.com", "a base URL must not contain a user, query or fragment"),
        ("https://ann:hunter2@iem.example.com", "a base URL must not contain a user, query or fragment"),
        ("https://:hunter2@iem.example.com", "a base URL must not contain a user, query or fragment"),
        ("https://iem.example.com/?token=hunter2", "a base URL must not contain a user, query or fragment"),
        ("https://iem.example.com/#a", "a base URL must not contain a user, query or fragment"),
        ("iem.example.com", "expected a URL such as https://iem.example.com"),
        ("ftp://iem.example.com", "expected a URL such as https://iem.example.com"),
        ("https://", "expected a URL such as https://iem.example.com"),
        ("https://iem.example.com:https", "invalid URL: "),
        ("https://iem.example.com:99999", "invalid URL: "),
        ("https://[::1", "invalid URL: "),
        ("https://iem.example.com:hunter2", "invalid URL: "),
        ("https://iem.example.com /", "a URL must not contain spaces"),
        (" https://iem.example.com", "a URL must not contain spaces"),
        ("https://iem.example\\n.com", "a URL must not contain spaces"),
        ("https://iem.example.com/?", "a base URL must not contain a user, query or fragment"),
        ("https://:443", "expected a URL such as https://iem.example.com"),
        ("https://a\\\\b", "expected a URL such as https://iem.example.com"),
        ("", "expected text, found nothing"),
    ],
)
def test_any_other_url_is_refused_without_quoting_its_secret(url: str, problem: str) -> None:
    (fault,) = faults_of(MINIMAL.replace("https://iem.example.com", f'"{url}"'))

    assert fault.startswith(f"4:8: url: {problem}")
    assert "hunter2" not in fault
