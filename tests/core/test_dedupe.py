"""Identities of updates, and the order of versions: see docs/mapping-files/ordering-and-deduplication.md."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.dedupe import UNDATED_WINDOW, Identity, identify, identity_window, version_key
from relay.core.mapping import version_of
from relay.core.model import TicketFields, Update

TICKET = "9d385017c611228701d22104cc95c371"
DAY = 86_400.0

WHOLES = st.one_of(st.integers(0, 30), st.integers(0, 10**60)).map(str)
FRACTIONS = st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=20).map(lambda digits: f".{digits}"))
VERSIONS = st.builds(
    lambda sign, zeros, whole, fraction: f"{sign}{zeros}{whole}{fraction}",
    st.sampled_from(["", "", "+", "-"]),
    st.sampled_from(["", "0", "00"]),
    WHOLES,
    FRACTIONS,
)


def update_of(*, version: str | None = None, updated_at: int | None = None, iem_state: int = 6) -> Update:
    return Update(TicketFields(TICKET, "6", version=version, updated_at=updated_at), iem_state)


def test_a_version_takes_precedence_over_a_date_and_a_key() -> None:
    versioned = identify(update_of(version="7", updated_at=1_000), "key")

    assert versioned == identify(update_of(version="7", updated_at=2_000), "another key")
    assert versioned != identify(update_of(version="8", updated_at=1_000), "key")
    assert versioned.dated


def test_without_a_version_the_date_is_the_identity() -> None:
    dated = identify(update_of(updated_at=1_000), "key")

    assert dated == identify(update_of(updated_at=1_000), "another key")
    assert dated != identify(update_of(updated_at=1_001), "key")
    assert dated.dated


def test_without_version_and_date_the_idempotency_key_is_the_identity() -> None:
    keyed = identify(update_of(), "key")

    assert keyed == identify(update_of(), "key")
    assert keyed != identify(update_of(), "another key")
    assert keyed != identify(update_of(), None)
    assert not keyed.dated


@pytest.mark.parametrize("key", [None, ""])
def test_without_any_of_them_the_state_is_the_identity(key: str | None) -> None:
    bare = identify(update_of(), key)

    assert bare == identify(update_of(), None)
    assert not bare.dated


@pytest.mark.parametrize(
    ("version", "updated_at", "key"), [("7", None, None), (None, 7, None), (None, None, "7"), (None, None, None)]
)
def test_a_different_iem_state_is_a_different_identity(
    version: str | None, updated_at: int | None, key: str | None
) -> None:
    resolved = identify(update_of(version=version, updated_at=updated_at, iem_state=6), key)
    reopened = identify(update_of(version=version, updated_at=updated_at, iem_state=2), key)

    assert resolved != reopened


def test_an_equal_version_date_and_key_are_three_identities() -> None:
    identities = {
        identify(update_of(version="7"), None),
        identify(update_of(updated_at=7), None),
        identify(update_of(), "7"),
    }

    assert len(identities) == 3


@settings(deadline=None)
@given(st.text(st.characters()))
def test_the_identity_of_any_key_is_short(key: str) -> None:
    identity = identify(update_of(), key)

    assert len(identity.text) <= 32
    assert identity.text.isascii()


@pytest.mark.parametrize(
    ("identity", "window", "expected"),
    [
        (Identity("6:v7", dated=True), DAY, DAY),
        (Identity("6:v7", dated=True), 60.0, 60.0),
        (Identity("6:-", dated=False), DAY, UNDATED_WINDOW),
        (Identity("6:-", dated=False), 60.0, 60.0),
    ],
)
def test_an_undated_identity_is_remembered_for_at_most_ten_minutes(
    identity: Identity, window: float, expected: float
) -> None:
    assert identity_window(identity, window) == expected


def test_the_limit_of_an_undated_identity_is_ten_minutes() -> None:
    assert UNDATED_WINDOW == 600


@pytest.mark.parametrize(
    ("version", "key"),
    [
        (None, ""),
        ("0", "10010"),
        ("7", "10017"),
        ("10", "100210"),
        ("0.5", "100105"),
        ("7.25", "1001725"),
        ("-7", "0" + "09" + "09" + "08" + "02" + "1"),
        ("9" * 40, "1040" + "9" * 40),
    ],
)
def test_a_version_key_is_sign_length_and_digits(version: str | None, key: str) -> None:
    assert version_key(version) == key


@settings(max_examples=examples(500), deadline=None)
@given(VERSIONS, VERSIONS)
def test_version_keys_sort_like_the_numbers(first: str, second: str) -> None:
    key, other_key = version_key(version_of(first)), version_key(version_of(second))

    assert (key < other_key, key == other_key) == (Decimal(first) < Decimal(second), Decimal(first) == Decimal(second))


@settings(deadline=None)
@given(VERSIONS)
def test_any_version_key_sorts_after_the_empty_one(version: str) -> None:
    assert version_key(version_of(version)) > version_key(None)
