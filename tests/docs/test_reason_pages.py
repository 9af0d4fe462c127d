"""The pages on response handling, the runbook and resolver lookups list every reason, and quote real messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.markdown import code, section, tables

from relay.core.orphan_reasons import OrphanReason
from relay.core.reasons import Reason
from relay.core.retry import WHILE_REFUSED
from relay.errors import ConfigurationError
from relay.settings import load_settings
from relay.store.durability import Durability
from relay.store.embedded import EmbeddedRedisError, _stamp, open_data_folder
from relay.virima.lookup import LookupOutcome
from relay.virima.lookup_reasons import LookupReason
from relay.web.responses import _TITLES

RESPONSES = "docs/iem/response-handling.md"
RUNBOOK = "docs/runbook.md"
LOOKUPS = "docs/audit/resolver-lookups.md"
#: Outcomes and reasons of lookups that were not made or not finished.
SKIPPED, BROKEN_OFF = "skipped", {"bug", "given_up"}


WORDS = {"retry": "retry", "park": "park", "dead": "dead letter"}
PARKS = {"at_once": "at once", "in_a_row": "after five in a row", "never": "no"}


def first_codes(title: str, page: str, *, table: int = 0, column: int = 0) -> set[str]:
    """Return the texts in code font in a column of a table."""
    return {text for row in tables(section(title, page))[table].rows for text in code(row[column])}


def reason_lines() -> list[str]:
    """Return the table of reasons as the page on response handling must show it."""
    return [
        "| reason | IEM answers | outcome | what to do |",
        "|---|---|---|---|",
        *(f"| `{reason}` | {reason.row.cause} | {outcome_of(reason)} | {advice_of(reason)} |" for reason in Reason),
    ]


def outcome_of(reason: Reason) -> str:
    row = reason.row
    rules = [
        row.exception,
        "The token is dropped." if row.drops_token else "",
        "Counts towards `down`." if row.counts_as_down else "",
    ]
    return " ".join([f"{WORDS[row.leads_to]}.", *(rule for rule in rules if rule)]).removesuffix(".")


def advice_of(reason: Reason) -> str:
    return reason.row.advice[0].upper() + reason.row.advice[1:]


def lookup_lines() -> list[str]:
    """Return the rows of the lookup reasons as the page on resolver lookups must show them."""
    return [f"| `{reason}` | {reason.row.cause} | {PARKS[reason.row.parks]} |" for reason in LookupReason]


def test_the_page_on_response_handling_shows_the_table_of_reasons() -> None:
    expected = reason_lines()

    shown = [line for line in section("Reasons", RESPONSES).splitlines() if line.startswith("|")]

    assert shown == expected, "replace the table in {} by:\n{}".format(RESPONSES, "\n".join(expected))


def test_the_page_on_response_handling_shows_the_intervals_of_probes() -> None:
    shown = first_codes("Parking", RESPONSES)

    assert shown == {reason for reason in Reason if reason.row.probes != WHILE_REFUSED}


def test_every_reason_of_an_integration_without_a_worker_is_in_the_runbook() -> None:
    assert first_codes("An integration is parked", RUNBOOK) == set(OrphanReason)


def test_every_outcome_and_reason_of_a_lookup_is_documented() -> None:
    expected = lookup_lines()
    text = section("Outcomes", LOOKUPS)

    shown = [line for line in text.splitlines() if line.startswith("|")]

    assert first_codes("Outcomes", LOOKUPS) == {*LookupOutcome, SKIPPED}
    assert first_codes("Outcomes", LOOKUPS, table=1) == {*LookupReason, *BROKEN_OFF}
    assert [line for line in expected if line not in shown] == [], f"{LOOKUPS} lacks these lines"


def test_the_runbook_names_503_answers_by_their_titles() -> None:
    titles = re.findall(r"^- `([^`]+)`", section("Webhooks are answered 503", RUNBOOK), re.MULTILINE)

    assert titles
    assert set(titles) <= set(_TITLES.values())


def test_the_runbook_quotes_why_redis_is_refused(tmp_path: Path) -> None:
    quoted = [code(row[0])[0] for row in tables(section("Redis is refused at startup", RUNBOOK))[0].rows]

    messages = [*refusals_of_a_server(), *refusals_of_a_url(), *refusals_of_a_folder(tmp_path)]

    assert len(quoted) == len(messages)
    for quote in quoted:
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in quote.split("…")))
        assert any(pattern.search(message) for message in messages), quote


def refusals_of_a_server() -> list[str]:
    server = Durability("redis", (6, 2), appendonly=False, appendfsync=None, eviction="allkeys-lru")
    return server.refusals(volatile_allowed=False)


def refusals_of_a_url() -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"RELAY_REDIS_URL": "memcached://127.0.0.1"})
    return caught.value.problems


def refusals_of_a_folder(folder: Path) -> list[str]:
    (folder / "engine").write_text("redis 1\n", "utf-8")
    with pytest.raises(EmbeddedRedisError) as other_version:
        _stamp(folder, "valkey 9")
    held = open_data_folder(folder / "held")
    with pytest.raises(EmbeddedRedisError) as other_process:
        open_data_folder(folder / "held")
    held.lock.close()
    return [str(other_version.value), str(other_process.value)]
