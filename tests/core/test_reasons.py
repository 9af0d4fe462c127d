"""The table of reasons is complete: every reason has the rules and texts that the relay and its documentation use."""

from __future__ import annotations

from collections import Counter

import pytest

from relay.core.orphan_reasons import OrphanReason
from relay.core.outcomes import Dead, IemAnswer, Park, Retry, classify_push, name_outcome
from relay.core.reasons import Reason
from relay.core.row_enum import RowEnum

WORDS = {"retry": Retry, "park": Park, "dead": Dead}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_cause_and_advice(reason: Reason) -> None:
    row = reason.row

    assert row.cause
    assert row.advice
    assert not row.advice.endswith(".")  # `relay doctor` continues the sentence
    assert row.advice[0].islower() or row.advice.startswith("IEM ")


@pytest.mark.parametrize("reason", OrphanReason)
def test_every_orphan_reason_has_an_explanation_and_advice(reason: OrphanReason) -> None:
    assert reason.row.explanation
    assert reason.row.advice


def test_no_status_and_no_refusal_has_two_reasons() -> None:
    statuses = Counter(status for reason in Reason for status in reason.row.statuses)
    refusals = Counter(reason.row.refusal for reason in Reason if reason.row.refusal)

    assert [found for found, count in [*statuses.items(), *refusals.items()] if count > 1] == []


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.row.statuses])
def test_every_status_of_a_reason_leads_to_its_outcome(reason: Reason) -> None:
    for status in reason.row.statuses:
        assert classify_push(IemAnswer(status), "token") == WORDS[reason.row.leads_to](reason)


def test_every_outcome_has_the_name_that_the_table_uses() -> None:
    assert {name_outcome(outcome(Reason.BUG))[0]: outcome for outcome in WORDS.values()} == WORDS


def test_a_failure_that_counts_as_down_parks_as_down() -> None:
    assert {reason.parks_as for reason in Reason if reason.row.counts_as_down} == {Reason.DOWN}
    assert all(reason.parks_as is reason for reason in Reason if not reason.row.counts_as_down)


def test_a_reason_and_an_orphan_reason_never_have_the_same_value() -> None:
    assert set(Reason) & set(OrphanReason) == set()


def test_a_member_without_a_row_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="'forgotten' has no row"):

        class _Incomplete(RowEnum):
            FORGOTTEN = "forgotten"
