"""The delays of retries and of probes: see docs/iem/response-handling.md."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.mapping_blocks import RetryBlock
from relay.core.reasons import Reason
from relay.core.retry import (
    FAILURES_TO_PARK,
    JITTER,
    NOT_FOUND_PATIENCE,
    UNKNOWN_TICKETS_TO_PARK,
    retry_delay,
)

DEFAULT = RetryBlock(first=5.0, most=600.0, give_up_after=172_800.0)
MIDDLE = 0.5  # the chance that does not change a delay


@pytest.mark.parametrize(
    ("attempts", "delay"),
    [(0, 5), (1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 320), (8, 600), (9, 600), (10_000, 600)],
)
def test_delays_double_from_first_to_most(attempts: int, delay: float) -> None:
    assert retry_delay(DEFAULT, attempts, None, MIDDLE) == delay


@pytest.mark.parametrize(("chance", "delay"), [(0.0, 8.0), (0.5, 10.0), (1.0, 12.0)])
def test_jitter_changes_a_delay_by_at_most_a_fifth(chance: float, delay: float) -> None:
    assert JITTER == 0.2
    assert retry_delay(DEFAULT, 2, None, chance) == pytest.approx(delay)


@pytest.mark.parametrize(
    ("retry_after", "delay"),
    [(None, 5), (0, 5), (-60, 5), (4.9, 5), (5.1, 5.1), (120, 120), (600, 600), (86_400, 600), (float("inf"), 600)],
)
def test_retry_after_applies_between_the_scheduled_delay_and_most(retry_after: float | None, delay: float) -> None:
    assert retry_delay(DEFAULT, 1, retry_after, MIDDLE) == delay


@settings(deadline=None)
@given(
    first=st.floats(0.01, 3_600),
    factor=st.floats(1, 1_000),
    attempts=st.integers(0, 10**6),
    retry_after=st.none() | st.floats(allow_nan=True, allow_infinity=True),
    chance=st.floats(0, 1),
)
def test_a_delay_stays_between_the_jittered_first_and_most(
    *, first: float, factor: float, attempts: int, retry_after: float | None, chance: float
) -> None:
    schedule = RetryBlock(first, first * factor, 172_800.0)

    delay = retry_delay(schedule, attempts, retry_after, chance)

    assert first * (1 - JITTER) * 0.999 <= delay <= schedule.most


@pytest.mark.parametrize("reason", Reason)
def test_the_probe_schedule_depends_on_the_reason(reason: Reason) -> None:
    expected = {Reason.DOWN: (5.0, 300.0), Reason.WRONG_CREDENTIALS: (300.0, 3_600.0)}

    schedule = reason.row.probes

    assert (schedule.first, schedule.most) == expected.get(reason, (30.0, 900.0))


def test_the_limits_before_parking_and_giving_up() -> None:
    assert (NOT_FOUND_PATIENCE, FAILURES_TO_PARK, UNKNOWN_TICKETS_TO_PARK) == (600.0, 5, 5)
