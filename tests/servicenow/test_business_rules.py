"""Business rules, run in Node as in ServiceNow, post to a real relay."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
from harness import SYS_ID, Relay, free_port, mapping, write_mapping
from servicenow.instance import CLOSED, OPEN, RESOLVED, Ran, script_of, service_answering, state, ticket
from servicenow.integrations import ADMIN_TOKEN, AUTHS, HMAC_SECRET, SHAPES, WHSEC, instance_for, script_for


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


def test_a_resolution_is_queued_without_waiting_for_the_answer(web: Relay) -> None:
    script = script_for(web, "acme")

    ran = instance_for(web).run(script, ticket(), ticket(state=OPEN, sys_mod_count="6"))

    assert_queued(web, ran)
    assert ran.posts[0]["waited"] is False
    assert ran.posts[0]["timeout"] == 5000
    assert ran.body["state"] == {"value": "6", "display_value": "Resolved"}


@pytest.mark.parametrize("name", [*AUTHS, "open"])
@pytest.mark.parametrize("scope", ["global", "scoped"])
def test_the_relay_accepts_each_authentication(web: Relay, name: str, scope: str) -> None:
    script = script_for(web, name)
    instance = instance_for(web, name, scope=scope)

    ran = instance.run(script, ticket(), ticket(state=OPEN))

    assert_queued(web, ran)


def test_a_standard_webhooks_key_works_without_its_prefix(web: Relay) -> None:
    instance = instance_for(web, "standard-webhooks")
    instance.properties["relay.standard-webhooks.key"] = WHSEC.removeprefix("whsec_")

    ran = instance.run(script_for(web, "standard-webhooks"), ticket())

    assert_queued(web, ran)


@pytest.mark.parametrize("in_a_file", [False, True])
def test_the_command_in_the_guide_encodes_the_key(web: Relay, tmp_path: Path, *, in_a_file: bool) -> None:
    script = script_for(web, "hmac")
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


def test_non_ascii_letters_are_signed_correctly(web: Relay) -> None:
    resolver = "jürgen.größe\u2028😀@example.com"

    ran = instance_for(web, "hmac").run(script_for(web, "hmac"), ticket(resolved_by=resolver))

    assert ran.posts[0]["body"].isascii()
    assert delivery(web, ran.answer["delivery_id"])["resolved_by"] == resolver


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("options", [(), ("--when", "async")], ids=["after", "async"])
def test_the_mapping_finds_every_value_in_the_body(web: Relay, name: str, options: tuple[str, ...]) -> None:
    ran = instance_for(web, name).run(script_for(web, name, *options), ticket(), ticket(state=OPEN))

    assert_queued(web, ran)


def test_a_reopening_is_posted_and_the_next_resolution_is_new(web: Relay) -> None:
    script, instance = script_for(web, "acme"), instance_for(web)

    steps = [
        instance.run(script, ticket(sys_mod_count="7"), ticket(state=OPEN)),
        instance.run(script, ticket(sys_mod_count="8", state=CLOSED), ticket(state=RESOLVED)),
        instance.run(script, ticket(sys_mod_count="9", state=OPEN), ticket(state=CLOSED)),
        instance.run(script, ticket(sys_mod_count="10"), ticket(state=OPEN)),
    ]

    assert [ran.answer["status"] for ran in steps] == ["queued", "duplicate", "ignored", "queued"]


def test_a_change_between_unlisted_states_posts_nothing(web: Relay) -> None:
    ran = instance_for(web).run(script_for(web, "acme"), ticket(state=OPEN), ticket(state=state("1", "New")))

    assert (ran.posts, ran.logs, ran.thrown) == ([], [], None)


def test_a_ticket_inserted_as_resolved_is_posted(web: Relay) -> None:
    ran = instance_for(web).run(script_for(web, "acme"), ticket(), None)

    assert_queued(web, ran)


@pytest.mark.parametrize(
    ("fields", "resolver"),
    [
        ({"resolved_by": ""}, None),
        ({"resolved_by": "", "closed_by": "bob@example.com"}, None),
        ({"closed_by": "bob@example.com"}, "bob@example.com"),
        ({}, None),
    ],
    ids=["empty", "resolved_by first", "no resolved_by", "neither"],
)
def test_the_resolver_can_be_missing(web: Relay, fields: dict[str, str], resolver: str | None) -> None:
    record = {name: value for name, value in ticket().items() if name != "resolved_by"} | fields

    ran = instance_for(web).run(script_for(web, "acme"), record)

    assert (ran.statuses, ran.logs) == ([202], [])
    assert delivery(web, ran.answer["delivery_id"])["resolved_by"] == resolver


def test_another_table_uses_its_own_states(web: Relay) -> None:
    problem, instance = script_for(web, "acme", "--table", "problem"), instance_for(web)

    relayed = instance.run(problem, ticket(state=state("106", "Resolved")), ticket(state=OPEN), "problem")
    ignored = instance.run(problem, ticket(), ticket(state=OPEN), "problem")

    assert (relayed.statuses, ignored.posts) == ([202], [])
    assert delivery(web, relayed.answer["delivery_id"])["itsm_state"] == "106"


def test_a_table_with_labels_as_states_is_compared_by_label(web: Relay) -> None:
    script = script_for(web, "acme", "--table", "change_request")

    ran = instance_for(web).run(script, ticket(state=state("3", " closed ")), ticket(state=OPEN), "change_request")

    assert ran.statuses == [202]
    assert delivery(web, ran.answer["delivery_id"])["itsm_state"] == "closed"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"properties": {}}, "the system property relay.acme.url is not set"),
        ({"message": "another"}, "there is no REST message Relay acme with a method post"),
        ({"execute_error": "java.net.UnknownHostException"}, "java.net.UnknownHostException"),
    ],
)
def test_a_failed_post_logs_one_line_and_never_stops_the_user(web: Relay, changes: dict[str, Any], reason: str) -> None:
    ran = instance_for(web, **changes).run(script_for(web, "acme"), ticket(), ticket(state=OPEN))

    assert ran.thrown is None
    assert ran.logs == [{"level": "error", "text": f"relay acme: INC0010023 was not sent: {reason}"}]


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
def test_an_async_rule_retries_if_that_can_help(web: Relay, statuses: tuple[int, ...], error: str | None) -> None:
    script = script_for(web, "acme", "--when", "async")

    with service_answering(*statuses) as url:
        ran = instance_for(web, properties={"relay.acme.url": url}).run(script, ticket())

    assert ran.statuses == list(statuses)
    assert ran.errors == ([f"relay acme: INC0010023 was not accepted: {error}"] if error else [])


def test_an_async_rule_logs_a_refusal_of_the_relay(web: Relay) -> None:
    script = script_for(web, "acme", "--when", "async")

    good = instance_for(web).run(script, ticket())
    refused = instance_for(web, profile=("sn", "wrong")).run(script, ticket())
    unusable = instance_for(web, "secretless").run(script_for(web, "secretless", "--when", "async"), ticket())

    assert_queued(web, good)
    assert refused.statuses == [401]
    assert refused.errors[0].startswith('relay acme: INC0010023 was not accepted: 401 {"status":401,"title":')
    assert unusable.statuses == [503, 503, 503]


@pytest.mark.parametrize(
    ("previous", "current", "count"),
    [(None, OPEN, 1), (RESOLVED, OPEN, 1), (OPEN, RESOLVED, 1), (OPEN, state("1", "New"), 0)],
)
def test_an_async_rule_posts_every_change_without_a_previous_state(
    web: Relay, previous: dict[str, str] | None, current: dict[str, str], count: int
) -> None:
    script = script_for(web, "acme", "--when", "async")

    ran = instance_for(web).run(script, ticket(state=current), ticket(state=previous) if previous else None)

    assert len(ran.posts) == count


@pytest.mark.parametrize("throws", [True, False])
def test_an_async_rule_tries_three_times_without_an_answer(web: Relay, *, throws: bool) -> None:
    instance = instance_for(web, execute_error="connect timed out" if throws else "")
    instance.properties["relay.acme.url"] = f"http://127.0.0.1:{free_port()}/"

    ran = instance.run(script_for(web, "acme", "--when", "async"), ticket())

    assert (ran.thrown, len(ran.posts)) == (None, 0 if throws else 3)
    reason = "connect timed out" if throws else "ECONNREFUSED"
    assert ran.errors == [f"relay acme: INC0010023 was not accepted: no answer: {reason}"]
