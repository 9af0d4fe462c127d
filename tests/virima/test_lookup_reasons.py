"""The table of lookup reasons is complete and consistent."""

from __future__ import annotations

import pytest

from relay.core.retry import WHILE_DOWN
from relay.virima.lookup_reasons import LookupReason


@pytest.mark.parametrize("reason", LookupReason)
def test_every_lookup_reason_has_a_cause_and_advice(reason: LookupReason) -> None:
    assert reason.row.cause
    assert reason.row.advice


def test_failures_that_park_as_down_are_probed_as_down() -> None:
    rows = [reason.row for reason in LookupReason if reason.parks_as == "down"]

    assert rows
    assert {(row.parks, row.probes) for row in rows} == {("in_a_row", WHILE_DOWN)}
