"""Sweeps, run in Node as in ServiceNow, post to a real relay."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Relay, sys_id
from raw_server import RawServer, answer
from servicenow.instance import CLOSED, OPEN, service_answering, state, ticket
from servicenow.integrations import SHAPES, instance_for, script_for


def tickets(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [ticket(sys_id=sys_id(number), number=f"INC{number}", **fields) for number in range(count)]


def test_a_sweep_posts_lists_and_can_be_repeated(web: Relay) -> None:
    script = script_for(web, "acme", "--sweep")
    instance = instance_for(web, tables={"incident": [*tickets(250), ticket(sys_id="f" * 32, state=OPEN)]})

    first, second = instance.run(script), instance.run(script)

    assert first.queries == ["stateIN6,7^sys_updated_onRELATIVEGT@hour@ago@24^ORDERBYsys_updated_on"]
    assert first.statuses == second.statuses == [207, 207, 207]
    assert first.infos == ["relay acme: sweep of incident: 250 queued"]
    assert second.infos == ["relay acme: sweep of incident: 250 duplicate"]
    assert first.errors == second.errors == []


def test_a_resolution_that_the_rule_lost_is_queued_by_the_sweep(web: Relay) -> None:
    rule, sweep = script_for(web, "acme"), script_for(web, "acme", "--sweep")
    instance = instance_for(web, tables={"incident": tickets(3)})
    for record in instance.tables["incident"][:2]:
        instance.run(rule, record, ticket(state=OPEN))
    # The timer closed the ticket, and that post was lost.
    instance.tables["incident"][0] |= {"sys_mod_count": "8", "state": CLOSED}

    ran = instance.run(sweep)

    assert ran.infos == ["relay acme: sweep of incident: 2 duplicate, 1 queued"]


def test_a_sweep_posts_the_tickets_of_its_hours_oldest_first(web: Relay) -> None:
    times = ["2026-01-02 03:04:05", "2036-01-02 03:04:06", "2036-01-02 03:04:05"]
    records = [ticket(sys_id=sys_id(number), sys_updated_on=time) for number, time in enumerate(times)]

    ran = instance_for(web, tables={"incident": records}).run(script_for(web, "acme", "--sweep", "--hours", "1"))

    assert [record["sys_updated_on"] for record in ran.body] == [times[2], times[1]]


def test_rejected_tickets_are_logged_by_number(web: Relay) -> None:
    script = script_for(web, "acme", "--sweep")
    bad = ticket(sys_id="BAD", number="INC-BAD")

    several = instance_for(web, tables={"incident": [*tickets(1), bad]}).run(script)
    alone = instance_for(web, tables={"incident": [bad]}).run(script)

    assert (several.statuses, alone.statuses) == ([207], [422])
    error = "relay acme: INC-BAD was rejected: sys_id: does not match `^[0-9a-f]{32}$` (the mapping's `sys_id_pattern`)"
    assert several.errors == alone.errors == [error]
    assert several.infos == ["relay acme: sweep of incident: 1 queued, 1 rejected"]
    assert alone.infos == ["relay acme: sweep of incident: 1 rejected"]


def test_a_sweep_works_with_one_ticket_and_with_none(web: Relay) -> None:
    script = script_for(web, "acme", "--sweep")

    single = instance_for(web, tables={"incident": tickets(1)}).run(script)
    none = instance_for(web, tables={"incident": []}).run(script)

    assert (single.statuses, single.infos) == ([202], ["relay acme: sweep of incident: 1 queued"])
    assert (none.posts, none.infos) == ([], ["relay acme: sweep of incident: nothing to post"])


def test_a_sweep_that_the_relay_refuses_stops_and_logs_it(web: Relay) -> None:
    script = script_for(web, "acme", "--sweep")
    records = {"incident": tickets(250)}

    refused = instance_for(web, profile=("sn", "wrong"), tables=records).run(script)
    away = instance_for(web, tables=records, execute_error="connect timed out").run(script)

    assert refused.statuses == [401]
    assert refused.errors[0].startswith('relay acme: INC0 to INC99 were not accepted: 401 {"status":401,')
    assert refused.errors[0].endswith(" - the next run posts the rest")
    assert refused.infos == away.infos == ["relay acme: sweep of incident: 100 not accepted"]
    assert away.errors[0].startswith("relay acme: INC0 to INC99 were not accepted: no answer: connect timed out")


@pytest.mark.parametrize(("status", "posts"), [(400, 2), (413, 2), (422, 2), (200, 1), (302, 1), (503, 1)])
def test_a_sweep_continues_if_only_one_list_is_wrong(web: Relay, status: int, posts: int) -> None:
    with service_answering(*[status] * 2) as url:
        instance = instance_for(web, properties={"relay.acme.url": url}, tables={"incident": tickets(101)})
        ran = instance.run(script_for(web, "acme", "--sweep"))

    assert ran.statuses == [status] * posts
    assert len(ran.errors) == posts
    assert f"were not accepted: {status} {'x' * 100}" in ran.errors[0]
    assert ran.thrown is None


@pytest.mark.parametrize("name", [*SHAPES, "hmac-timestamp-hex", "standard-webhooks", "bearer", "open"])
def test_a_sweep_fits_each_mapping(web: Relay, name: str) -> None:
    script = script_for(web, name, "--sweep")

    ran = instance_for(web, name, tables={"incident": tickets(3)}).run(script)

    assert ran.infos == [f"relay {name}: sweep of incident: 3 queued"]
    assert ran.statuses == ([202, 202, 202] if name == "alone" else [207])


def test_a_sweep_by_labels_compares_every_ticket_itself(web: Relay) -> None:
    script = script_for(web, "acme", "--sweep", "--table", "change_request")
    records = [*tickets(1, state=state("3", "Closed")), ticket(state=state("-1", "Implement"))]

    ran = instance_for(web, tables={"change_request": records}).run(script)

    assert ran.queries == ["sys_updated_onRELATIVEGT@hour@ago@24^ORDERBYsys_updated_on"]
    assert ran.infos == ["relay acme: sweep of change_request: 1 queued"]


def test_a_journaled_list_counts_as_accepted(web: Relay) -> None:
    journaled = answer(b'{"status":"journaled","journal_id":"01"}', status="202 Accepted")

    with RawServer(lambda _head: journaled) as server:
        properties = {"relay.acme.url": f"{server.url}/"}
        instance = instance_for(web, properties=properties, tables={"incident": tickets(3)})
        ran = instance.run(script_for(web, "acme", "--sweep"))

    assert (ran.infos, ran.errors) == (["relay acme: sweep of incident: 3 journaled"], [])
