"""How the relay judges itself, and which problems it tells of: tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.core.integration_health import (
    TELL_AGAIN,
    Counts,
    Health,
    HealthProblem,
    IntegrationHealth,
    Known,
    judge_health,
    notices,
)

AGE = 900.0
NOW = 1_795_342_830_000
LONG_AGO = NOW - 901_000
IDLE = IntegrationHealth(NOW, Counts(delivered=10, dead=2))


@pytest.mark.parametrize(
    ("now", "before", "health"),
    [
        (IDLE, IDLE.counts, Health.GREEN),
        (replace(IDLE, pending=5, oldest=NOW - 899_000), IDLE.counts, Health.GREEN),
        (replace(IDLE, dead=2), IDLE.counts, Health.GREEN),
        (replace(IDLE, parked="down", pending=1, oldest=NOW), IDLE.counts, Health.AMBER),
        (replace(IDLE, parked="down", pending=1, oldest=LONG_AGO), IDLE.counts, Health.AMBER),
        (replace(IDLE, pending=5, oldest=LONG_AGO), Counts(delivered=9, dead=2), Health.AMBER),
        (replace(IDLE, pending=5, oldest=LONG_AGO), IDLE.counts, Health.RED),
        (IDLE, Counts(delivered=10, dead=1), Health.RED),
        (replace(IDLE, parked="down"), Counts(delivered=10, dead=1), Health.RED),
    ],
)
def test_the_health_of_an_integration(now: IntegrationHealth, before: Counts, health: Health) -> None:
    assert judge_health(now, before, AGE)[0] is health


def told_of(now: IntegrationHealth, known: dict[HealthProblem, Known]) -> list[tuple[HealthProblem, bool]]:
    return [(one.problem, one.known.is_over) for one in notices(now, known, AGE)]


def test_a_quiet_integration_with_one_ticket_that_is_tried_again_is_not_at_a_standstill() -> None:
    one_ticket = replace(IDLE, pending=1, retrying=1, oldest=LONG_AGO)

    assert judge_health(one_ticket, IDLE.counts, AGE)[0] is Health.AMBER


def test_the_first_judgement_and_one_after_counts_were_lost_know_of_no_deaths() -> None:
    assert judge_health(IDLE, None, AGE)[0] is Health.GREEN
    assert judge_health(IDLE, Counts(delivered=500, dead=7), AGE)[0] is Health.GREEN


def test_nothing_is_told_while_nothing_is_wrong() -> None:
    assert told_of(IDLE, {}) == []


@pytest.mark.parametrize(
    ("problem", "wrong"),
    [
        (HealthProblem.PARKED, replace(IDLE, parked="down", parked_since=NOW - 5)),
        (HealthProblem.DEAD_LETTERS, replace(IDLE, dead=2, oldest_dead=NOW - 7)),
        (HealthProblem.BACKLOG, replace(IDLE, pending=3, oldest=LONG_AGO)),
    ],
)
def test_a_problem_is_told_once_and_its_end_once(problem: HealthProblem, wrong: IntegrationHealth) -> None:
    [begun] = notices(wrong, {}, AGE)
    [ended] = notices(IDLE, {problem: begun.known}, AGE)

    assert (begun.problem, begun.known.is_over) == (problem, False)
    assert told_of(wrong, {problem: begun.known}) == []
    assert (ended.known.is_over, ended.known.since) == (True, begun.known.since)
    assert told_of(IDLE, {problem: ended.known}) == []


@pytest.mark.parametrize("problem", HealthProblem)
def test_a_problem_has_the_same_beginning_whenever_it_is_told(problem: HealthProblem) -> None:
    wrong = replace(IDLE, dead=2, oldest_dead=LONG_AGO, pending=3, oldest=LONG_AGO)
    wrong = replace(wrong, parked="down", parked_since=LONG_AGO) if problem is HealthProblem.PARKED else wrong

    beginnings = {
        one.known.since
        for at in (NOW, NOW + 60_000)
        for one in notices(replace(wrong, at=at), {}, AGE)
        if one.problem is problem
    }

    assert len(beginnings) == 1


def test_a_problem_that_comes_and_goes_is_told_every_five_minutes_at_most() -> None:
    wrong = replace(IDLE, parked="down", parked_since=NOW)
    [begun] = notices(wrong, {}, AGE)
    over = {HealthProblem.PARKED: replace(begun.known, is_over=True)}

    assert told_of(replace(wrong, at=NOW + TELL_AGAIN - 1), over) == []
    assert told_of(replace(wrong, at=NOW + TELL_AGAIN), over) == [(HealthProblem.PARKED, False)]


def test_another_reason_is_told_after_a_while() -> None:
    [begun] = notices(replace(IDLE, parked="down", parked_since=NOW), {}, AGE)
    other = replace(IDLE, at=NOW + TELL_AGAIN, parked="access_denied", parked_since=NOW)

    [notice] = notices(other, {HealthProblem.PARKED: begun.known}, AGE)

    assert "access_denied" in notice.says
    assert notice.known.since == begun.known.since


def test_a_clock_that_was_ahead_keeps_nothing_untold() -> None:
    known = {HealthProblem.DEAD_LETTERS: Known(NOW, NOW + 86_400_000, "1000")}

    assert told_of(replace(IDLE, dead=1500, counts=Counts(dead=1500)), known) == [(HealthProblem.DEAD_LETTERS, False)]


def test_a_thousand_dead_letters_are_one_notice_with_a_count() -> None:
    [notice] = notices(replace(IDLE, dead=1000, counts=Counts(dead=1000)), {}, AGE)

    assert notice.says == "1000 deliveries were given up and wait for somebody"


def test_more_dead_letters_are_told_after_a_while_with_the_same_beginning() -> None:
    known = Known(since=NOW - TELL_AGAIN, at=NOW - TELL_AGAIN, detail="1000")
    more = replace(IDLE, dead=1500, counts=Counts(dead=1500))

    too_early = told_of(replace(more, at=NOW - 1), {HealthProblem.DEAD_LETTERS: known})
    [notice] = notices(more, {HealthProblem.DEAD_LETTERS: known}, AGE)

    assert too_early == []
    assert notice.says == "1500 deliveries were given up and wait for somebody; 500 of them are new"
    assert notice.known == Known(known.since, NOW, "1500")


def test_a_backlog_that_waits_for_a_parked_integration_is_no_problem_of_its_own() -> None:
    parked = replace(IDLE, parked="down", parked_since=LONG_AGO, pending=3, oldest=LONG_AGO)

    assert told_of(parked, {}) == [(HealthProblem.PARKED, False)]
