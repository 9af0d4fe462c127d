"""How the relay judges itself, and which problems it tells of: tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.core.standing import TELL_AGAIN, Counts, Health, Notice, Problem, Standing, Told, judge_health, notices

AGE = 900.0
NOW = 1_795_342_830_000
LONG_AGO = NOW - 901_000
IDLE = Standing(NOW, Counts(delivered=10, dead=2))


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
def test_the_health_of_an_integration(now: Standing, before: Counts, health: Health) -> None:
    assert judge_health(now, before, AGE)[0] is health


def told_of(now: Standing, told: dict[Problem, Told]) -> list[tuple[Problem, bool]]:
    return [(one.problem, one.told is None) for one in notices(now, told, AGE)]


def test_nothing_is_told_while_nothing_is_wrong() -> None:
    assert told_of(IDLE, {}) == []


@pytest.mark.parametrize(
    ("problem", "wrong"),
    [
        (Problem.PARKED, replace(IDLE, parked="down", parked_since=NOW - 5)),
        (Problem.DEAD_LETTERS, replace(IDLE, dead=2)),
        (Problem.BACKLOG, replace(IDLE, pending=3, oldest=LONG_AGO)),
    ],
)
def test_a_problem_is_told_once_and_its_end_once(problem: Problem, wrong: Standing) -> None:
    [notice] = notices(wrong, {}, AGE)
    assert notice.told
    told = {problem: notice.told}

    assert notice.problem is problem
    assert told_of(wrong, told) == []
    assert told_of(IDLE, told) == [(problem, True)]
    assert [one.since for one in notices(IDLE, told, AGE)] == [notice.since]


def test_a_thousand_dead_letters_are_one_notice_with_a_count() -> None:
    [notice] = notices(replace(IDLE, dead=1000, counts=Counts(dead=1000)), {}, AGE)

    assert notice.says == "1000 deliveries were given up and wait for somebody"


def test_more_dead_letters_are_told_after_a_while_with_the_same_beginning() -> None:
    told = Told(since=NOW - TELL_AGAIN, at=NOW - TELL_AGAIN, count=1000)
    more = replace(IDLE, dead=1500, counts=Counts(dead=1500))

    too_early = list(notices(replace(more, at=NOW - 1), {Problem.DEAD_LETTERS: told}, AGE))
    [notice] = notices(more, {Problem.DEAD_LETTERS: told}, AGE)

    assert too_early == []
    assert notice == Notice(
        Problem.DEAD_LETTERS,
        told.since,
        "500 more deliveries were given up: 1500 wait for somebody",
        Told(told.since, NOW, 1500),
    )


def test_a_backlog_that_waits_for_a_parked_integration_is_no_problem_of_its_own() -> None:
    parked = replace(IDLE, parked="down", parked_since=LONG_AGO, pending=3, oldest=LONG_AGO)

    assert told_of(parked, {}) == [(Problem.PARKED, False)]
