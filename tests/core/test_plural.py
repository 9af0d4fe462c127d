from __future__ import annotations

import pytest

from relay.core.plural import count_of


@pytest.mark.parametrize(("number", "text"), [(0, "0 records"), (1, "1 record"), (2, "2 records")])
def test_a_regular_noun_agrees_with_its_number(number: int, text: str) -> None:
    assert count_of(number, "record") == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 deliveries"), (1, "1 delivery"), (2, "2 deliveries")])
def test_an_irregular_noun_agrees_with_its_number(number: int, text: str) -> None:
    assert count_of(number, "delivery", "deliveries") == text
