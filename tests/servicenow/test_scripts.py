"""The scripts at work: in Node as in ServiceNow, with real posts to a real relay."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from harness import SYS_ID, WEBHOOK_PASSWORD, Relay, free_port, mapping, sys_id, write_mapping
from raw_server import RawServer, answer
from servicenow.conftest import ADMIN_TOKEN, API_KEY, AUTHS, HMAC_SECRET, SHAPES, WHSEC
from servicenow.instance import CLOSED, OPEN, RESOLVED, Instance, Ran, script_of, state, ticket

#: Kinds of authentication whose key is given as it is.
_KEYS = {"header": API_KEY, "bearer": API_KEY, "standard-webhooks": WHSEC}


def instance_for(web: Relay, name: str = "acme", **changes: Any) -> Instance:
    """Return an instance that is set up as the head of the scripts for an integration says."""
    key = _KEYS.get(name, base64.b64encode(HMAC_SECRET.encode()).decode())
    properties = {f"relay.{name}.url": f"{web.url}/webhooks/{name}", f"relay.{name}.key": key}
    profile = ("sn", WEBHOOK_PASSWORD) if name == "acme" else None
    return Instance(**{"properties": properties, "message": f"Relay {name}", "profile": profile, **changes})


def delivery(web: Relay, delivery_id: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    found: dict[str, Any] = requests.get(
        f"{web.url}/api/v1/deliveries/{delivery_id}", headers=headers, timeout=5
    ).json()
    return found


def assert_queued(web: Relay, ran: Ran) -> None:
    assert (ran.thrown, ran.logs, ran.statuses) == (None, [], [202])
    found = delivery(web, ran.answer["delivery_id"])
    assert [found[name] for name in ("sys_id", "number", "itsm_state", "iem_state", "version", "resolved_by")] == [
        SYS_ID,
        "INC0010023",
        "6",
        6,
        "7",
        "ann@example.com",
    ]


def test_a_resolution_is_handed_over_and_queued_without_waiting_for_the_answer(web: Relay) -> None:
    script = script_of(web.mappings, "acme")

    ran = instance_for(web).run(script, ticket(), ticket(state=OPEN, sys_mod_count="6"))

    assert_queued(web, ran)
    assert ran.posts[0]["waited"] is False
    assert ran.posts[0]["timeout"] == 5000
    assert ran.body["state"] == {"value": "6", "display_value": "Resolved"}


@pytest.mark.parametrize("name", [*AUTHS, "open"])
@pytest.mark.parametrize("scope", ["global", "scoped"])
def test_each_way_to_authenticate_is_recognised_by_the_relay(web: Relay, name: str, scope: str) -> None:
    script = script_of(web.mappings, name)
    instance = instance_for(web, name, scope=scope)

    ran = instance.run(script, ticket(), ticket(state=OPEN))

    assert_queued(web, ran)


def test_a_standard_webhooks_key_may_be_given_without_its_prefix(web: Relay) -> None:
    instance = instance_for(web, "standard-webhooks")
    instance.properties["relay.standard-webhooks.key"] = WHSEC.removeprefix("whsec_")

    ran = instance.run(script_of(web.mappings, "standard-webhooks"), ticket())

    assert_queued(web, ran)


@pytest.mark.parametrize("in_a_file", [False, True])
def test_the_command_in_the_head_makes_the_key(web: Relay, tmp_path: Path, *, in_a_file: bool) -> None:
    script = script_of(web.mappings, "hmac")
    if in_a_file:
        file = tmp_path / "it's a key"
        file.write_text(f"{HMAC_SECRET}\n", "utf-8")
        auth = {"type": "hmac", "header": "X-Relay-Signature", "secret": {"file": str(file)}}
        write_mapping(tmp_path, "hmac", mapping("https://iem.example.com", auth=[auth]))
        script = script_of(tmp_path, "hmac")
    command = next(line for line in script.splitlines() if " printf %s " in line).removeprefix(" *")
    instance = instance_for(web, "hmac")

    environ = {"PATH": os.environ["PATH"], "ACME_HMAC": HMAC_SECRET}
    key = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, encoding="utf-8", check=True).stdout
    instance.properties["relay.hmac.key"] = key

    assert_queued(web, instance.run(script, ticket()))


def test_letters_of_any_language_are_signed_as_they_arrive(web: Relay) -> None:
    resolver = "jürgen.größe\u2028😀@example.com"

    ran = instance_for(web, "hmac").run(script_of(web.mappings, "hmac"), ticket(resolved_by=resolver))

    assert ran.posts[0]["body"].isascii()
    assert delivery(web, ran.answer["delivery_id"])["resolved_by"] == resolver


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("options", [(), ("--when", "async")], ids=["after", "async"])
def test_the_body_stands_where_the_mapping_looks_for_it(web: Relay, name: str, options: tuple[str, ...]) -> None:
    ran = instance_for(web, name).run(script_of(web.mappings, name, *options), ticket(), ticket(state=OPEN))

    assert_queued(web, ran)


def test_a_reopening_is_posted_and_the_next_resolution_is_a_new_one(web: Relay) -> None:
    script, instance = script_of(web.mappings, "acme"), instance_for(web)

    steps = [
        instance.run(script, ticket(sys_mod_count="7"), ticket(state=OPEN)),
        instance.run(script, ticket(sys_mod_count="8", state=CLOSED), ticket(state=RESOLVED)),
        instance.run(script, ticket(sys_mod_count="9", state=OPEN), ticket(state=CLOSED)),
        instance.run(script, ticket(sys_mod_count="10"), ticket(state=OPEN)),
    ]

    assert [one.answer["status"] for one in steps] == ["queued", "duplicate", "ignored", "queued"]


def test_a_change_between_states_that_are_not_relayed_posts_nothing(web: Relay) -> None:
    ran = instance_for(web).run(script_of(web.mappings, "acme"), ticket(state=OPEN), ticket(state=state("1", "New")))

    assert (ran.posts, ran.logs, ran.thrown) == ([], [], None)


def test_a_ticket_that_is_inserted_as_resolved_is_posted(web: Relay) -> None:
    ran = instance_for(web).run(script_of(web.mappings, "acme"), ticket(), None)

    assert_queued(web, ran)


@pytest.mark.parametrize(
    ("fields", "resolver"),
    [
        ({"resolved_by": ""}, None),
        ({"resolved_by": "", "closed_by": "bob@example.com"}, None),
        ({"closed_by": "bob@example.com"}, "bob@example.com"),
        ({}, None),
    ],
    ids=["nobody", "resolved_by is asked first", "no resolved_by", "neither"],
)
def test_who_resolved_it_may_be_missing(web: Relay, fields: dict[str, str], resolver: str | None) -> None:
    record = {name: value for name, value in ticket().items() if name != "resolved_by"} | fields

    ran = instance_for(web).run(script_of(web.mappings, "acme"), record)

    assert (ran.statuses, ran.logs) == ([202], [])
    assert delivery(web, ran.answer["delivery_id"])["resolved_by"] == resolver


def test_another_table_goes_by_its_own_states(web: Relay) -> None:
    problem, instance = script_of(web.mappings, "acme", "--table", "problem"), instance_for(web)

    relayed = instance.run(problem, ticket(state=state("106", "Resolved")), ticket(state=OPEN), "problem")
    ignored = instance.run(problem, ticket(), ticket(state=OPEN), "problem")

    assert (relayed.statuses, ignored.posts) == ([202], [])
    assert delivery(web, relayed.answer["delivery_id"])["itsm_state"] == "106"


def test_a_table_whose_states_are_labels_goes_by_labels(web: Relay) -> None:
    script = script_of(web.mappings, "acme", "--table", "change_request")

    ran = instance_for(web).run(script, ticket(state=state("3", " closed ")), ticket(state=OPEN), "change_request")

    assert ran.statuses == [202]
    assert delivery(web, ran.answer["delivery_id"])["itsm_state"] == "closed"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"properties": {}}, "the system property relay.acme.url is not set"),
        ({"message": "another"}, "there is no REST message Relay acme with a method post"),
        ({"refuses": "java.net.UnknownHostException"}, "java.net.UnknownHostException"),
    ],
)
def test_what_cannot_be_handed_over_is_one_line_of_the_log_and_never_stops_the_user(
    web: Relay, changes: dict[str, Any], reason: str
) -> None:
    ran = instance_for(web, **changes).run(script_of(web.mappings, "acme"), ticket(), ticket(state=OPEN))

    assert ran.thrown is None
    assert ran.logs == [{"level": "error", "text": f"relay acme: INC0010023 was not handed over: {reason}"}]


@contextmanager
def answering(*statuses: int) -> Iterator[str]:
    """A service that answers with these statuses, one after the other."""
    left = iter(statuses)

    with RawServer(lambda _head: answer(b"x" * 300, status=f"{next(left)} Status")) as server:
        yield f"{server.url}/"


@pytest.mark.parametrize(
    ("statuses", "error"),
    [
        ((202,), None),
        ((503, 202), None),
        ((429, 500, 200), None),
        ((503, 502, 504), f"504 {'x' * 100}"),
        ((401,), f"401 {'x' * 100}"),
        ((503, 422), f"422 {'x' * 100}"),
        ((302,), f"302 {'x' * 100}"),
    ],
)
def test_an_async_rule_tries_again_where_that_can_help(
    web: Relay, statuses: tuple[int, ...], error: str | None
) -> None:
    script = script_of(web.mappings, "acme", "--when", "async")

    with answering(*statuses) as url:
        ran = instance_for(web, properties={"relay.acme.url": url}).run(script, ticket())

    assert ran.statuses == list(statuses)
    assert ran.errors == ([f"relay acme: INC0010023 was not accepted: {error}"] if error else [])


def test_an_async_rule_is_understood_by_the_relay_and_tells_its_refusal(web: Relay) -> None:
    script = script_of(web.mappings, "acme", "--when", "async")

    good = instance_for(web).run(script, ticket())
    refused = instance_for(web, profile=("sn", "wrong")).run(script, ticket())
    unusable = instance_for(web, "secretless").run(script_of(web.mappings, "secretless", "--when", "async"), ticket())

    assert_queued(web, good)
    assert refused.statuses == [401]
    assert refused.errors[0].startswith('relay acme: INC0010023 was not accepted: 401 {"status":401,"title":')
    assert unusable.statuses == [503, 503, 503]


@pytest.mark.parametrize(
    ("previous", "current", "count"),
    [(None, OPEN, 1), (RESOLVED, OPEN, 1), (OPEN, RESOLVED, 1), (OPEN, state("1", "New"), 0)],
)
def test_an_async_rule_posts_every_change_where_it_cannot_see_the_state_before(
    web: Relay, previous: dict[str, str] | None, current: dict[str, str], count: int
) -> None:
    script = script_of(web.mappings, "acme", "--when", "async")

    ran = instance_for(web).run(script, ticket(state=current), ticket(state=previous) if previous else None)

    assert len(ran.posts) == count


@pytest.mark.parametrize("throws", [True, False])
def test_an_async_rule_tries_three_times_where_there_is_no_answer(web: Relay, *, throws: bool) -> None:
    instance = instance_for(web, refuses="connect timed out" if throws else "")
    instance.properties["relay.acme.url"] = f"http://127.0.0.1:{free_port()}/"

    ran = instance.run(script_of(web.mappings, "acme", "--when", "async"), ticket())

    assert (ran.thrown, len(ran.posts)) == (None, 0 if throws else 3)
    reason = "connect timed out" if throws else "ECONNREFUSED"
    assert ran.errors == [f"relay acme: INC0010023 was not accepted: no answer: {reason}"]


def tickets(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [ticket(sys_id=sys_id(number), number=f"INC{number}", **fields) for number in range(count)]


def test_a_sweep_posts_lists_and_once_more_does_no_harm(web: Relay) -> None:
    script = script_of(web.mappings, "acme", "--sweep")
    instance = instance_for(web, tables={"incident": [*tickets(250), ticket(sys_id="f" * 32, state=OPEN)]})

    first, second = instance.run(script), instance.run(script)

    assert first.queries == ["stateIN6,7^sys_updated_onRELATIVEGT@hour@ago@24^ORDERBYsys_updated_on"]
    assert first.statuses == second.statuses == [207, 207, 207]
    assert first.told == ["relay acme: sweep of incident: 250 queued"]
    assert second.told == ["relay acme: sweep of incident: 250 duplicate"]
    assert first.errors == second.errors == []


def test_a_resolution_that_the_rule_lost_is_queued_by_the_sweep(web: Relay) -> None:
    rule, sweep = script_of(web.mappings, "acme"), script_of(web.mappings, "acme", "--sweep")
    instance = instance_for(web, tables={"incident": tickets(3)})
    for one in instance.tables["incident"][:2]:
        instance.run(rule, one, ticket(state=OPEN))
    instance.tables["incident"][0] |= {
        "sys_mod_count": "8",
        "state": CLOSED,
    }  # the timer closed it, and the rule lost that

    ran = instance.run(sweep)

    assert ran.told == ["relay acme: sweep of incident: 2 duplicate, 1 queued"]


def test_a_sweep_goes_from_the_oldest_to_the_newest_of_its_hours(web: Relay) -> None:
    times = ["2026-01-02 03:04:05", "2036-01-02 03:04:06", "2036-01-02 03:04:05"]
    records = [ticket(sys_id=sys_id(number), sys_updated_on=one) for number, one in enumerate(times)]

    ran = instance_for(web, tables={"incident": records}).run(
        script_of(web.mappings, "acme", "--sweep", "--hours", "1")
    )

    assert [one["sys_updated_on"] for one in ran.body] == [times[2], times[1]]


def test_rejected_tickets_are_told_by_their_numbers(web: Relay) -> None:
    script = script_of(web.mappings, "acme", "--sweep")
    bad = ticket(sys_id="BAD", number="INC-BAD")

    several = instance_for(web, tables={"incident": [*tickets(1), bad]}).run(script)
    alone = instance_for(web, tables={"incident": [bad]}).run(script)

    assert (several.statuses, alone.statuses) == ([207], [422])
    told = "relay acme: INC-BAD was rejected: sys_id: does not match `^[0-9a-f]{32}$` (the mapping's `sys_id_pattern`)"
    assert several.errors == alone.errors == [told]
    assert several.told == ["relay acme: sweep of incident: 1 queued, 1 rejected"]
    assert alone.told == ["relay acme: sweep of incident: 1 rejected"]


def test_one_ticket_and_none_are_swept_too(web: Relay) -> None:
    script = script_of(web.mappings, "acme", "--sweep")

    one = instance_for(web, tables={"incident": tickets(1)}).run(script)
    none = instance_for(web, tables={"incident": []}).run(script)

    assert (one.statuses, one.told) == ([202], ["relay acme: sweep of incident: 1 queued"])
    assert (none.posts, none.told) == ([], ["relay acme: sweep of incident: nothing to post"])


def test_a_sweep_that_the_relay_does_not_take_stops_and_says_so(web: Relay) -> None:
    script = script_of(web.mappings, "acme", "--sweep")
    records = {"incident": tickets(250)}

    refused = instance_for(web, profile=("sn", "wrong"), tables=records).run(script)
    away = instance_for(web, tables=records, refuses="connect timed out").run(script)

    assert refused.statuses == [401]
    assert refused.errors[0].startswith('relay acme: INC0 to INC99 were not accepted: 401 {"status":401,')
    assert refused.errors[0].endswith(" - the rest waits for the next run")
    assert refused.told == away.told == ["relay acme: sweep of incident: 100 not accepted"]
    assert away.errors[0].startswith("relay acme: INC0 to INC99 were not accepted: no answer: connect timed out")


@pytest.mark.parametrize(("status", "posts"), [(400, 2), (413, 2), (422, 2), (200, 1), (302, 1), (503, 1)])
def test_a_sweep_goes_on_where_only_a_list_is_wrong(web: Relay, status: int, posts: int) -> None:
    with answering(*[status] * 2) as url:
        instance = instance_for(web, properties={"relay.acme.url": url}, tables={"incident": tickets(101)})
        ran = instance.run(script_of(web.mappings, "acme", "--sweep"))

    assert ran.statuses == [status] * posts
    assert len(ran.errors) == posts
    assert f"were not accepted: {status} {'x' * 100}" in ran.errors[0]
    assert ran.thrown is None


@pytest.mark.parametrize("name", [*SHAPES, "hmac-timestamp-hex", "standard-webhooks", "bearer", "open"])
def test_a_sweep_fits_the_mapping_too(web: Relay, name: str) -> None:
    script = script_of(web.mappings, name, "--sweep")

    ran = instance_for(web, name, tables={"incident": tickets(3)}).run(script)

    assert ran.told == [f"relay {name}: sweep of incident: 3 queued"]
    assert ran.statuses == ([202, 202, 202] if name == "alone" else [207])


def test_a_sweep_by_labels_looks_at_every_ticket_itself(web: Relay) -> None:
    script = script_of(web.mappings, "acme", "--sweep", "--table", "change_request")
    records = [*tickets(1, state=state("3", "Closed")), ticket(state=state("-1", "Implement"))]

    ran = instance_for(web, tables={"change_request": records}).run(script)

    assert ran.queries == ["sys_updated_onRELATIVEGT@hour@ago@24^ORDERBYsys_updated_on"]
    assert ran.told == ["relay acme: sweep of change_request: 1 queued"]


def test_a_relay_that_journals_has_taken_a_list(web: Relay) -> None:
    journaled = answer(b'{"status":"journaled","journal_id":"01"}', status="202 Accepted")

    with RawServer(lambda _head: journaled) as server:
        properties = {"relay.acme.url": f"{server.url}/"}
        instance = instance_for(web, properties=properties, tables={"incident": tickets(3)})
        ran = instance.run(script_of(web.mappings, "acme", "--sweep"))

    assert (ran.told, ran.errors) == (["relay acme: sweep of incident: 3 journaled"], [])
