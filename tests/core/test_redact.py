"""The last net: no secret that was read is left in a text."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.redact import MARK, Redactor

SECRET = "hunter2-and-more"
#: Without the letters of the mark: a secret that is a part of it could not be told from it.
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
def test_a_secret_is_blotted_out_wherever_it_stands(text: str, redacted: str) -> None:
    assert redactor_of(SECRET).redact(text) == redacted


@pytest.mark.parametrize("secret", [SECRET, "abcd", "abcde", "abcdef", "pässwörd"])
def test_a_secret_in_base64_is_blotted_out_too_padded_or_not(secret: str) -> None:
    padded = base64.b64encode(secret.encode()).decode()
    bare = padded.rstrip("=")

    text = redactor_of(secret).redact(f"Basic {padded} {bare}")

    assert bare not in text
    assert text == f"Basic {MARK}{padded[len(bare) :]} {MARK}"


@given(secret=st.text(min_size=8, max_size=20), before=st.text(max_size=9), after=st.text(max_size=4))
def test_nothing_of_a_secret_can_be_read_in_the_base64_of_what_it_is_a_part_of(
    secret: str, before: str, after: str
) -> None:
    whole = f"{before}:{secret}{after}".encode()

    redacted = redactor_of(secret).redact(f"Basic {base64.b64encode(whole).decode()}")

    assert MARK in redacted
    # At each end a letter or two are left that hold some bits of the secret, and some of its neighbour.
    left = redacted.removeprefix("Basic ").replace(MARK, "").rstrip("=")
    assert len(left) <= (len(before.encode()) + len(after.encode())) * 4 / 3 + 6


def test_a_secret_that_holds_another_one_is_blotted_out_whole() -> None:
    redactor = redactor_of("hunter2", "hunter2-and-more")

    assert redactor.redact("hunter2-and-more, hunter2") == f"{MARK}, {MARK}"


@pytest.mark.parametrize("short", ["", "a", "abc"])
def test_a_secret_too_short_to_be_one_blots_out_no_ordinary_words(short: str) -> None:
    assert redactor_of(short).redact("abc of a cab") == "abc of a cab"


def test_a_secret_that_is_added_twice_changes_nothing() -> None:
    assert redactor_of(SECRET, SECRET).redact(f"<{SECRET}>") == f"<{MARK}>"


def test_a_redactor_that_knows_nothing_leaves_a_text_as_it_is() -> None:
    assert Redactor().redact(SECRET) == SECRET


@settings(deadline=None)
@given(st.lists(SECRETS, min_size=1, max_size=4), st.lists(st.text("xyz ", max_size=5), min_size=5, max_size=5))
def test_no_known_secret_is_left_in_any_text(secrets: list[str], between: list[str]) -> None:
    text = "".join(part for pair in zip(between, secrets, strict=False) for part in pair)

    redacted = redactor_of(*secrets).redact(text)

    assert not any(secret in redacted for secret in secrets)
