"""How the relay judges the health of an integration, and which problems it reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.core.integration_health import (
    MIN_NOTICE_INTERVAL,
    AttemptCounts,
    Health,
    HealthProblem,
    IntegrationHealth,
    ReportedProblem,
    find_notices,
    judge_health,
)

AGE = 900.0
NOW = 1_795_342_830_000
LONG_AGO = NOW - 901_000
IDLE = IntegrationHealth(NOW, AttemptCounts(delivered=10, dead=2))


@pytest.mark.parametrize(
    ("now", "before", "health"),
    [
        (IDLE, IDLE.counts, Health.GREEN),
        (replace(IDLE, pending=5, oldest=NOW - 899_000), IDLE.counts, Health.GREEN),
        (replace(IDLE, dead=2), IDLE.counts, Health.GREEN),
        (replace(IDLE, parked="down", pending=1, oldest=NOW), IDLE.counts, Health.AMBER),
        (replace(IDLE, parked="down", pending=1, oldest=LONG_AGO), IDLE.counts, Health.AMBER),
        (replace(IDLE, pending=5, oldest=LONG_AGO), AttemptCounts(delivered=9, dead=2), Health.AMBER),
        (replace(IDLE, pending=5, oldest=LONG_AGO), IDLE.counts, Health.RED),
        (IDLE, AttemptCounts(delivered=10, dead=1), Health.RED),
        (replace(IDLE, parked="down"), AttemptCounts(delivered=10, dead=1), Health.RED),
    ],
)
def test_the_health_of_an_integration(now: IntegrationHealth, before: AttemptCounts, health: Health) -> None:
    assert judge_health(now, before, AGE)[0] is health


def notices_of(
    now: IntegrationHealth, reported: dict[HealthProblem, ReportedProblem]
) -> list[tuple[HealthProblem, bool]]:
    return [(notice.problem, notice.reported.is_over) for notice in find_notices(now, reported, AGE)]


def test_a_ticket_that_is_retried_is_not_reported_as_an_outage() -> None:
    retried_ticket = replace(IDLE, pending=1, retrying=1, oldest=LONG_AGO)

    assert judge_health(retried_ticket, IDLE.counts, AGE)[0] is Health.AMBER


def test_a_first_heartbeat_or_lost_counts_report_no_dead_letters() -> None:
    assert judge_health(IDLE, None, AGE)[0] is Health.GREEN
    assert judge_health(IDLE, AttemptCounts(delivered=500, dead=7), AGE)[0] is Health.GREEN


def test_a_healthy_integration_has_no_notices() -> None:
    assert notices_of(IDLE, {}) == []


@pytest.mark.parametrize(
    ("problem", "wrong"),
    [
        (HealthProblem.PARKED, replace(IDLE, parked="down", parked_since=NOW - 5)),
        (HealthProblem.DEAD_LETTERS, replace(IDLE, dead=2, oldest_dead=NOW - 7)),
        (HealthProblem.BACKLOG, replace(IDLE, pending=3, oldest=LONG_AGO)),
    ],
)
def test_the_start_and_the_end_of_a_problem_are_reported_once_each(
    problem: HealthProblem, wrong: IntegrationHealth
) -> None:
    [start] = find_notices(wrong, {}, AGE)
    [end] = find_notices(IDLE, {problem: start.reported}, AGE)

    assert (start.problem, start.reported.is_over) == (problem, False)
    assert notices_of(wrong, {problem: start.reported}) == []
    assert (end.reported.is_over, end.reported.since) == (True, start.reported.since)
    assert notices_of(IDLE, {problem: end.reported}) == []


@pytest.mark.parametrize("problem", HealthProblem)
def test_the_start_of_a_problem_does_not_depend_on_when_it_is_reported(problem: HealthProblem) -> None:
    wrong = replace(IDLE, dead=2, oldest_dead=LONG_AGO, pending=3, oldest=LONG_AGO)
    wrong = replace(wrong, parked="down", parked_since=LONG_AGO) if problem is HealthProblem.PARKED else wrong

    beginnings = {
        notice.reported.since
        for at in (NOW, NOW + 60_000)
        for notice in find_notices(replace(wrong, at=at), {}, AGE)
        if notice.problem is problem
    }

    assert len(beginnings) == 1


def test_an_unstable_problem_is_reported_once_in_five_minutes() -> None:
    wrong = replace(IDLE, parked="down", parked_since=NOW)
    [start] = find_notices(wrong, {}, AGE)
    over = {HealthProblem.PARKED: replace(start.reported, is_over=True)}

    assert notices_of(replace(wrong, at=NOW + MIN_NOTICE_INTERVAL - 1), over) == []
    assert notices_of(replace(wrong, at=NOW + MIN_NOTICE_INTERVAL), over) == [(HealthProblem.PARKED, False)]


def test_a_changed_reason_is_reported_after_the_interval() -> None:
    [start] = find_notices(replace(IDLE, parked="down", parked_since=NOW), {}, AGE)
    other = replace(IDLE, at=NOW + MIN_NOTICE_INTERVAL, parked="access_denied", parked_since=NOW)

    [notice] = find_notices(other, {HealthProblem.PARKED: start.reported}, AGE)

    assert "access_denied" in notice.text
    assert notice.reported.since == start.reported.since


def test_a_notice_from_the_future_does_not_silence_later_ones() -> None:
    reported = {HealthProblem.DEAD_LETTERS: ReportedProblem(NOW, NOW + 86_400_000, "1000")}

    assert notices_of(replace(IDLE, dead=1500, counts=AttemptCounts(dead=1500)), reported) == [
        (HealthProblem.DEAD_LETTERS, False)
    ]


def test_a_thousand_dead_letters_are_one_notice_with_a_count() -> None:
    [notice] = find_notices(replace(IDLE, dead=1000, counts=AttemptCounts(dead=1000)), {}, AGE)

    assert notice.text == "1000 deliveries were given up: see `relay deliveries list --status dead`"


def test_more_dead_letters_are_reported_with_the_same_start() -> None:
    earlier = ReportedProblem(since=NOW - MIN_NOTICE_INTERVAL, at=NOW - MIN_NOTICE_INTERVAL, detail="1000")
    more = replace(IDLE, dead=1500, counts=AttemptCounts(dead=1500))

    too_early = notices_of(replace(more, at=NOW - 1), {HealthProblem.DEAD_LETTERS: earlier})
    [notice] = find_notices(more, {HealthProblem.DEAD_LETTERS: earlier}, AGE)

    assert too_early == []
    assert notice.text == "1500 deliveries were given up; 500 of them new: see `relay deliveries list --status dead`"
    assert notice.reported == ReportedProblem(earlier.since, NOW, "1500")


def test_the_backlog_of_a_parked_integration_is_not_reported_too() -> None:
    parked = replace(IDLE, parked="down", parked_since=LONG_AGO, pending=3, oldest=LONG_AGO)

    assert notices_of(parked, {}) == [(HealthProblem.PARKED, False)]
