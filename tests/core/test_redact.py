"""Redaction: no secret that was read remains in a text."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.redact import MARK, Redactor

SECRET = "hunter2-and-more"
#: Without the letters of the mark, because a secret that is part of the mark cannot be distinguished from it.
SECRETS = st.text("bfhjkqs0123456789ü/+", min_size=4, max_size=12)


def redactor_of(*secrets: str) -> Redactor:
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    return redactor


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (SECRET, MARK),
        (f"password={SECRET}&user=ann", f"password={MARK}&user=ann"),
        (f"{SECRET} {SECRET}", f"{MARK} {MARK}"),
        ("nothing secret here", "nothing secret here"),
        ("", ""),
        (SECRET.upper(), SECRET.upper()),
    ],
)
def test_a_secret_is_redacted_anywhere_in_a_text(text: str, redacted: str) -> None:
    assert redactor_of(SECRET).redact(text) == redacted


@pytest.mark.parametrize("secret", [SECRET, "abcd", "abcde", "abcdef", "pässwörd"])
def test_a_secret_in_base64_is_redacted_with_and_without_padding(secret: str) -> None:
    padded = base64.b64encode(secret.encode()).decode()
    bare = padded.rstrip("=")

    text = redactor_of(secret).redact(f"Basic {padded} {bare}")

    assert bare not in text
    assert text == f"Basic {MARK}{padded[len(bare) :]} {MARK}"


@given(secret=st.text(min_size=8, max_size=20), before=st.text(max_size=9), after=st.text(max_size=4))
def test_a_secret_is_redacted_in_the_base64_of_a_longer_text(secret: str, before: str, after: str) -> None:
    whole = f"{before}:{secret}{after}".encode()

    redacted = redactor_of(secret).redact(f"Basic {base64.b64encode(whole).decode()}")

    assert MARK in redacted
    # At each end, one or two characters remain that contain bits of the secret and of its neighbour.
    left = redacted.removeprefix("Basic ").replace(MARK, "").rstrip("=")
    assert len(left) <= (len(before.encode()) + len(after.encode())) * 4 / 3 + 6


def test_a_secret_that_contains_another_is_redacted_completely() -> None:
    redactor = redactor_of("hunter2", "hunter2-and-more")

    assert redactor.redact("hunter2-and-more, hunter2") == f"{MARK}, {MARK}"


@pytest.mark.parametrize("short", ["", "a", "abc"])
def test_a_very_short_secret_redacts_no_ordinary_words(short: str) -> None:
    assert redactor_of(short).redact("abc of a cab") == "abc of a cab"


def test_adding_a_secret_twice_changes_nothing() -> None:
    assert redactor_of(SECRET, SECRET).redact(f"<{SECRET}>") == f"<{MARK}>"


def test_a_redactor_without_secrets_changes_nothing() -> None:
    assert Redactor().redact(SECRET) == SECRET


@settings(deadline=None)
@given(st.lists(SECRETS, min_size=1, max_size=4), st.lists(st.text("xyz ", max_size=5), min_size=5, max_size=5))
def test_no_secret_remains_in_any_text(secrets: list[str], between: list[str]) -> None:
    text = "".join(part for pair in zip(between, secrets, strict=False) for part in pair)

    redacted = redactor_of(*secrets).redact(text)

    assert not any(secret in redacted for secret in secrets)
