"""A whole mapping file: the integration that it describes, or all of its faults in the order of their lines."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_files.mapping_texts import (
    FULL,
    MINIMAL,
    NO_DURATION,
    NOT_SECRET,
    TICKET,
    faults_of,
    keys_of_the_schema,
    parse,
)
from properties import examples

from relay.core.authentication import BasicAuth, HeaderAuth, HmacAuth, StandardWebhooksAuth
from relay.core.integration import SOURCES
from relay.core.mapping_blocks import (
    FIELDS,
    DedupeBlock,
    Expectation,
    IemBlock,
    MappingTest,
    PublishBlock,
    RetryBlock,
    VirimaBlock,
)
from relay.core.references import Env, File, Plain
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets

NOT_A_NETWORK = "10.0.0.1/8 has host bits set: write 10.0.0.0/8 for the network, or 10.0.0.1 for one address"


def test_a_file_with_every_key_is_parsed() -> None:
    integration = parse(FULL)

    assert integration.name == "acme"
    assert (integration.source, integration.enabled, integration.description) == ("servicenow", True, "ACME production")
    assert integration.authentications == (
        BasicAuth("servicenow", Env("ACME_WEBHOOK_PASSWORD")),
        HmacAuth(
            header="X-Relay-Signature",
            algorithm="sha256",
            encoding="any",
            secrets=(Env("ACME_HMAC_NEW"), Env("ACME_HMAC_OLD")),
            timestamp_header="X-Relay-Timestamp",
        ),
        HeaderAuth("X-API-Key", File("/run/secrets/acme_key")),
        StandardWebhooksAuth((Env("ACME_WHSEC"),)),
    )
    assert integration.allow_from == (ip_network("10.0.0.0/8"),)
    assert integration.records.expression == "@"
    assert {name: [path.expression for path in paths] for name, paths in integration.fields.items()} == {
        "sys_id": ["sys_id"],
        "state": ["state", "incident_state"],
        "table": ["sys_class_name"],
        "number": ["number"],
        "version": ["sys_mod_count"],
        "updated_at": ["sys_updated_on"],
        "resolved_by": ["resolved_by.email", "resolved_by"],
    }
    assert integration.sys_id_pattern.pattern == "^[0-9a-f]{32}$"
    assert integration.states == {"6": 6, "resolved": 6, "7": 6, "closed": 6}
    assert integration.tables == {"problem": {"106": 6, "107": 6}}
    assert integration.unlisted_states == "ignore"
    assert integration.dedupe == DedupeBlock(window=86_400.0, collapse=True)
    assert integration.iem == IemBlock(
        url=Plain("https://iem.example.com"),
        customer_id="ACME",
        integration_id="42",
        auth="token",
        username=Env("ACME_IEM_USERNAME"),
        password=Env("ACME_IEM_PASSWORD"),
        timeout=10.0,
        max_in_flight=8,
        ca_file=None,
    )
    assert integration.retry == RetryBlock(first=5.0, most=600.0, give_up_after=172_800.0)
    assert integration.virima == VirimaBlock(
        url=Plain("https://login.virima.com/www_em/"),
        username=Env("VIRIMA_USERNAME"),
        password=Env("VIRIMA_PASSWORD"),
        lookup="impersonate",
        cache=3_600.0,
        timeout=10.0,
        ca_file=None,
    )
    assert integration.publish == PublishBlock(
        heartbeat=300.0, metrics=300.0, events=True, topology=True, backlog_age=900.0
    )
    assert integration.tests == (
        MappingTest("a resolved incident is relayed", {"sys_id": TICKET, "state": "6"}, Expectation(state=6)),
    )


def test_a_short_file_has_the_documented_defaults() -> None:
    short, example = parse(MINIMAL), parse(FULL)

    assert (short.enabled, short.description, short.authentications, short.allow_from) == (True, "", (), ())
    assert short.unlisted_states == example.unlisted_states
    assert short.states == example.states
    assert short.dedupe == example.dedupe
    assert short.retry == example.retry
    assert (short.iem.auth, short.iem.timeout, short.iem.max_in_flight, short.iem.ca_file) == ("token", 10.0, 8, None)
    assert (short.tables, short.virima, short.publish, short.tests) == ({}, None, None, ())


def test_the_presets_have_the_fields_and_states_of_their_source() -> None:
    servicenow = parse(MINIMAL)
    exchange = parse(MINIMAL.replace("servicenow", "service-exchange"))

    assert set(servicenow.fields) == set(FIELDS)
    assert servicenow.states == {"6": 6, "resolved": 6, "7": 6, "closed": 6}
    assert servicenow.sys_id_pattern.matches(TICKET)
    assert not any(key.isdigit() for key in exchange.states)
    assert exchange.sys_id_pattern.matches("SX-2026-000123")


def test_fields_merge_with_the_preset_key_by_key() -> None:
    integration = parse(MINIMAL + "fields: {state: [new_values.state, state], sys_id: record_id}\n")
    preset = parse(MINIMAL)

    assert [path.expression for path in integration.fields["state"]] == ["new_values.state", "state"]
    assert [path.expression for path in integration.fields["sys_id"]] == ["record_id"]
    assert {name: integration.fields[name] for name in FIELDS[2:]} == {name: preset.fields[name] for name in FIELDS[2:]}


def test_states_records_and_the_pattern_replace_the_presets() -> None:
    integration = parse(MINIMAL + "states: {Erledigt: 7}\nrecords: data[]\nsys_id_pattern: '^IN'\n")

    assert integration.states == {"erledigt": 7}
    assert integration.records.expression == "data[]"
    assert integration.sys_id_pattern.pattern == "^IN"


def test_yaml_does_not_change_the_type_of_a_value() -> None:
    integration = parse(
        MINIMAL.replace('"42"', "0042") + "description: no\nstates: {no: 6, 1e3: 7, 010: 8, null: 9}\nenabled: off\n"
    )

    assert integration.iem.integration_id == "0042"
    assert integration.description == "no"
    assert integration.states == {"no": 6, "1e3": 7, "10": 8, "null": 9}
    assert not integration.enabled


def test_optional_blocks_can_be_left_empty() -> None:
    integration = parse(MINIMAL + "  ca_file: null\nvirima:\npublish: ~\ndescription:\n")

    assert (integration.virima, integration.publish, integration.description) == (None, None, "")


def test_the_digest_differs_between_versions_of_a_file() -> None:
    first, same, other = (parse(text).digest for text in (MINIMAL, MINIMAL, MINIMAL + "# changed\n"))

    assert first == same
    assert first != other
    assert len(first) == 12


def test_all_faults_of_a_file_are_reported_in_the_order_of_their_lines() -> None:
    text = """\
source: servicenov
auth:
  - type: basic
    username: servicenow
    pasword: {env: ACME_WEBHOOK_PASSWORD}
allow_from: [10.0.0.0/8, 10.0.0.1/8]
feilds:
  sys_id: sys_id
fields:
  state: [state, "state.["]
states:
  6: six
  6: 6
iem:
  url: http://iem.example.com
  customer_id: ACME
  username: relay@example.com
  password: hunter2
  timeout: 10
retry: {first: 1h, most: 10m}
tests: [{name: x, payload: {}}]
"""

    assert faults_of(text) == [
        "1:9: source: 'servicenov' is not one of servicenow, service-exchange; did you mean 'servicenow'?",
        "3:5: missing key 'password' in 'auth[0]'",
        "5:5: unknown key 'pasword'; did you mean 'password'?",
        f"6:26: allow_from: {NOT_A_NETWORK}",
        "7:1: unknown key 'feilds'; did you mean 'fields'?",
        "10:26: state: not a JMESPath expression: it ends too early",
        "12:6: 6: this is not an IEM state: expected a whole number",
        "13:3: duplicate key '6': it is already used on line 12",
        "14:1: missing key 'integration_id' in 'iem'",
        "15:8: url: http would send credentials unencrypted: use https, except for a loopback host",
        f"18:13: password: {NOT_SECRET}",
        f"19:12: timeout: '10' {NO_DURATION}",
        "20:16: first: must not be longer than `retry.most`",
        "21:9: missing key 'expect' in 'tests[0]'",
    ]


def test_faults_name_their_keys() -> None:
    text = MINIMAL.replace("none", "[{type: basic}]") + "states: {6: six}\nstats: {6: 6}\nenabled: on\nenabled: off\n"

    parsed = parse_mapping_file("acme", text, load_presets())

    assert [fault.key for fault in parsed.faults] == [
        "auth[0].username",
        "auth[0].password",
        "states.6",
        "stats",
        "enabled",
    ]


SCRAPS = st.sampled_from([*"\n\t :-#'\"{}[],!|6a\\(@", "", "\n  ", ": ", "- ", "&a ", "*a", "null", "${"])
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["none", "6", "state", "a.b", "10s", "https://a", "true", "basic", "{env: A}"]
)

NAMES = st.sampled_from(sorted({str(path[-1]) for path in keys_of_the_schema(FULL)}))
TREES = st.recursive(
    st.none() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXTS, inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=examples(120), deadline=None)
@given(st.text(st.characters()))
def test_any_text_is_an_integration_or_has_faults(text: str) -> None:
    assert_total(text)


@settings(max_examples=examples(120), deadline=None)
@given(st.data())
def test_a_changed_file_is_an_integration_or_has_faults(data: st.DataObject) -> None:
    text = FULL
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 20, len(text))))
        text = text[:start] + data.draw(SCRAPS) + text[end:]

    assert_total(text)


@settings(max_examples=examples(120), deadline=None)
@given(st.dictionaries(NAMES | TEXTS, TREES, max_size=8), st.booleans())
def test_any_tree_of_keys_is_an_integration_or_has_faults(tree: dict[str, object], after_a_valid_file: bool) -> None:
    lines = [f"{as_yaml(key)}: {as_yaml(value)}" for key, value in tree.items()]

    assert_total((MINIMAL if after_a_valid_file else "") + "\n".join(lines))


def as_yaml(value: object) -> str:
    """Return a tree in YAML's flow style, with all texts quoted."""
    match value:
        case None:
            return "null"
        case str():
            return "'" + value.replace("'", "''").replace("\n", " ") + "'"
        case list():
            return f"[{', '.join(map(as_yaml, value))}]"
        case dict():
            return "{" + ", ".join(f"{as_yaml(key)}: {as_yaml(below)}" for key, below in value.items()) + "}"
    raise AssertionError(value)


def assert_total(text: str) -> None:
    """A text yields an integration, or faults in the order of their lines, each with a position and a message."""
    parsed = parse_mapping_file("acme", text, load_presets())

    assert (parsed.integration is None) == bool(parsed.faults)
    assert list(parsed.faults) == sorted(parsed.faults, key=lambda fault: fault.position)
    for fault in parsed.faults:
        assert 1 <= fault.position.line <= len(text.splitlines()) + 2
        assert fault.position.column >= 1
        assert fault.message


@pytest.mark.parametrize("source", SOURCES)
def test_a_short_file_is_enough_for_every_source(source: str) -> None:
    integration = parse(MINIMAL.replace("servicenow", source))

    assert {"sys_id", "state", "number", "version", "updated_at", "resolved_by"} <= set(integration.fields)
    assert set(integration.states.values()) == {6}
