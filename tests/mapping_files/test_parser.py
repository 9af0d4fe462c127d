"""From a mapping file's text to an integration, or to every fault in it with its line and column (DESIGN section 4)."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath.functions import Functions
from properties import examples

from relay.core.authentication import BasicAuth, HeaderAuth, HmacAuth, StandardWebhooksAuth
from relay.core.integration import SOURCES, Integration
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
from relay.mapping_files.document import DocumentPath, read_document
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets

#: The example of DESIGN section 4, as it is printed there.
EXAMPLE = Path(__file__).parents[1].joinpath("full-mapping.yaml").read_text("utf-8")
TICKET = "9d385017c611228701d22104cc95c371"
IEM = """\
iem:
  url: https://iem.example.com
  customer_id: ACME
  integration_id: "42"
  username: relay@example.com
  password: {env: ACME_IEM_PASSWORD}
"""
MINIMAL = f"source: servicenow\nauth: none\n{IEM}"
#: Lines that come behind MINIMAL begin here.
NEXT = MINIMAL.count("\n") + 1
NOT_SECRET = "do not write a secret into this file: write {env: NAME} or {file: PATH} instead"
WANTS_SECRET = "expected a secret: {env: NAME} or {file: PATH}"
WANTS_STATES = "expected states, such as `6: 6` and `Resolved: 6`, one per line, indented below"
NO_DURATION = "is not a duration: write a number and a unit, such as 30s, 10m, 24h or 30d"
#: The keys at the top of a file.
TOP = (
    "allow_from, auth, dedupe, description, enabled, fields, iem, publish, rate_limit, records, retry, source, states, "
    "sys_id_pattern, tables, tests, unlisted_states, virima"
)
NOT_A_NETWORK = "10.0.0.1/8 has host bits set: write 10.0.0.0/8 for the network, or 10.0.0.1 for one address"
NO_FUNCTION = f"unknown JMESPath function; known functions: {', '.join(sorted(Functions.FUNCTION_TABLE))}"
NO_NAME = "unexpected name or value: is a dot or an operator missing before it?"
WANTS_KEYS = "expected keys and values (key: value), indented below"


def faults_of(text: str) -> list[str]:
    """Return `line:column: message` for each fault."""
    parsed = parse_mapping_file("acme", text, load_presets())
    assert (parsed.integration is None) == bool(parsed.faults)
    return [f"{one.position.line}:{one.position.column}: {one.message}" for one in parsed.faults]


def parse(text: str) -> Integration:
    """Return the integration of a text without faults."""
    parsed = parse_mapping_file("acme", text, load_presets())
    assert parsed.faults == ()
    assert parsed.integration is not None
    return parsed.integration


def warnings_of(text: str) -> list[str]:
    """Return `line:column: message` for each warning about a text without faults, by the lines behind MINIMAL."""
    parsed = parse_mapping_file("acme", text, load_presets())
    assert parsed.integration, parsed.faults
    behind = NEXT - 1 if text.startswith(MINIMAL) else 0
    return [f"{one.position.line - behind}:{one.position.column}: {one.message}" for one in parsed.warnings]


def behind_minimal(*lines: str) -> list[str]:
    """Return the faults of MINIMAL with `lines` behind it; their own lines count from 1."""
    found = []
    for fault in faults_of(MINIMAL + "\n".join(lines) + "\n"):
        line, _, rest = fault.partition(":")
        found.append(f"{int(line) - NEXT + 1}:{rest}")
    return found


# What a good file comes to


def test_every_key_of_the_designs_example_is_accepted_and_means_what_it_says() -> None:
    integration = parse(EXAMPLE)

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


def test_the_designs_defaults_are_the_defaults() -> None:
    short, example = parse(MINIMAL), parse(EXAMPLE)

    assert (short.enabled, short.description, short.authentications, short.allow_from) == (True, "", (), ())
    assert short.unlisted_states == example.unlisted_states
    assert short.states == example.states
    assert short.dedupe == example.dedupe
    assert short.retry == example.retry
    assert (short.iem.auth, short.iem.timeout, short.iem.max_in_flight, short.iem.ca_file) == ("token", 10.0, 8, None)
    assert (short.tables, short.virima, short.publish, short.tests) == ({}, None, None, ())


def test_the_presets_are_the_contracts() -> None:
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


def test_yamls_traps_are_no_traps() -> None:
    integration = parse(
        MINIMAL.replace('"42"', "0042") + "description: no\nstates: {no: 6, 1e3: 7, 010: 8, null: 9}\nenabled: off\n"
    )

    assert integration.iem.integration_id == "0042"
    assert integration.description == "no"
    assert integration.states == {"no": 6, "1e3": 7, "10": 8, "null": 9}
    assert not integration.enabled


def test_optional_blocks_may_be_left_empty() -> None:
    integration = parse(MINIMAL + "  ca_file: null\nvirima:\npublish: ~\ndescription:\n")

    assert (integration.virima, integration.publish, integration.description) == (None, None, "")


def test_the_digest_tells_versions_of_a_file_apart() -> None:
    first, same, other = (parse(text).digest for text in (MINIMAL, MINIMAL, MINIMAL + "# changed\n"))

    assert first == same
    assert first != other
    assert len(first) == 12


# Keys: missing, unknown, misspelt, twice


def test_all_faults_of_a_file_are_told_at_once_in_the_order_of_their_lines() -> None:
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
        "13:3: duplicate key '6': it is already used in line 12",
        "14:1: missing key 'integration_id' in 'iem'",
        "15:8: url: http would send credentials unencrypted: use https, except for a loopback host",
        f"18:13: password: {NOT_SECRET}",
        f"19:12: timeout: '10' {NO_DURATION}",
        "20:16: first: must not be longer than `retry.most`",
        "21:9: missing key 'expect' in 'tests[0]'",
    ]


def keys_of_the_schema(text: str) -> list[DocumentPath]:
    """Return the keys of `text` that a schema names: neither states nor tables nor what stands in a payload."""
    named = []
    for path in read_document(text).keys:
        if path[:1] == ("states",) or path[:-1] == ("tables",) or "payload" in path[:-1] or path[2:3] == ("states",):
            named += [path] if path[-1] == "states" else []
        else:
            named.append(path)
    return named


@pytest.mark.parametrize("path", keys_of_the_schema(EXAMPLE), ids=lambda path: ".".join(map(str, path)))
def test_a_misspelt_key_is_named_in_every_block_with_its_place_and_the_key_that_was_meant(path: DocumentPath) -> None:
    key, place = str(path[-1]), read_document(EXAMPLE).keys[path]
    misspelt = key + key[-1]
    lines = EXAMPLE.splitlines(keepends=True)
    line = lines[place.line - 1]
    lines[place.line - 1] = line[: place.column - 1] + misspelt + line[place.column - 1 + len(key) :]

    faults = faults_of("".join(lines))

    assert f"{place.line}:{place.column}: unknown key '{misspelt}'; did you mean '{key}'?" in faults
    assert len(faults) <= 2  # the other one: the key that is missing now


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("owner: ann", f"1:1: unknown key 'owner'; known keys: {TOP}"),
        ("fields: {close_code: a}", f"1:10: unknown key 'close_code'; known keys: {', '.join(sorted(FIELDS))}"),
        ("tables: {problem: {states: {106: 6}, color: red}}", "1:38: unknown key 'color'; known keys: states"),
        ("dedupe: {ttl: 24h}", "1:10: unknown key 'ttl'; known keys: collapse, window"),
        ("retry: {attempts: 5}", "1:9: unknown key 'attempts'; known keys: first, give_up_after, most"),
        (
            "publish: {logs: true}",
            "1:11: unknown key 'logs'; known keys: backlog_age, events, heartbeat, metrics, topology",
        ),
        ("'<<': {enabled: false}", f"1:1: unknown key '<<'; known keys: {TOP}"),
    ],
)
def test_an_unknown_key_that_is_near_none_is_told_the_known_ones(line: str, fault: str) -> None:
    assert behind_minimal(line) == [fault]


def test_an_empty_mapping_names_every_missing_key() -> None:
    assert faults_of("{}") == ["1:1: missing key 'source'", "1:1: missing key 'auth'", "1:1: missing key 'iem'"]
    assert behind_minimal("virima: {}") == [
        f"1:1: missing key '{key}' in 'virima'" for key in ("url", "username", "password", "lookup")
    ]


@pytest.mark.parametrize(
    ("auth", "faults"),
    [
        (
            "{type: basic}",
            ["2:9: missing key 'username' in 'auth[0]'", "2:9: missing key 'password' in 'auth[0]'"],
        ),
        ("{type: hmac}", ["2:9: missing key 'header' in 'auth[0]'", "2:9: missing key 'secret' in 'auth[0]'"]),
        ("{type: header}", ["2:9: missing key 'header' in 'auth[0]'", "2:9: missing key 'value' in 'auth[0]'"]),
        ("{type: standard-webhooks}", ["2:9: missing key 'secret' in 'auth[0]'"]),
        ("{}", ["2:9: auth: missing key 'type': one of basic, hmac, header, standard-webhooks"]),
        (
            "{tpye: basic, username: a}",
            [
                "2:9: auth: missing key 'type': one of basic, hmac, header, standard-webhooks",
                "2:10: unknown key 'tpye'; did you mean 'type'?",
            ],
        ),
        (
            "{type: bassic}",
            ["2:16: type: 'bassic' is not one of basic, hmac, header, standard-webhooks; did you mean 'basic'?"],
        ),
        ("basic", [f"2:9: auth: {WANTS_KEYS}"]),
    ],
)
def test_each_way_to_authenticate_names_what_it_lacks(auth: str, faults: list[str]) -> None:
    assert faults_of(f"source: servicenow\nauth: [ {auth} ]\n{IEM}") == faults


@pytest.mark.parametrize(
    ("auth", "fault"),
    [
        ("auth:", "2:1: the key 'auth' has no value"),
        ("auth: []", "2:7: auth: expected a list with at least one authentication method, or the word none"),
        ("auth: None", "2:7: auth: expected a list with at least one authentication method, or the word none"),
        ("auth: basic", "2:7: auth: expected a list with at least one authentication method, or the word none"),
        (
            "auth: {type: basic}",
            "2:7: auth: expected a list with at least one authentication method, or the word none",
        ),
        ("", "1:1: missing key 'auth'"),
    ],
)
def test_a_file_that_lets_nobody_or_anybody_in_by_mistake_is_refused(auth: str, fault: str) -> None:
    assert faults_of(f"source: servicenow\n{auth}\n{IEM}") == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (MINIMAL + "source: servicenow\n", "9:1: duplicate key 'source': it is already used in line 1"),
        (MINIMAL + "states: {6: 6, 7: 6, 6: 7}\n", "9:22: duplicate key '6': it is already used in line 9"),
        (MINIMAL.replace("{env: ", "{env: A, env: "), "8:22: duplicate key 'env': it is already used in line 8"),
        (MINIMAL + "\tenabled: true\n", "9:1: tabs cannot be used here: indent with spaces"),
        (MINIMAL + "---\n" + MINIMAL, "9:1: a second document begins here ('---'): a mapping file is one document"),
        (
            MINIMAL + "description: a: b\n",
            "9:15: a colon that does not follow a key: check the indentation, or quote the value",
        ),
        (MINIMAL + "? [a, b]\n: c\n", "9:3: a key must be text"),
        ("", "1:1: the file is empty"),
        ("~", "1:1: expected keys and values (key: value) at the top of the file"),
        ("- source: servicenow", "1:1: expected keys and values (key: value) at the top of the file"),
        ("servicenow", "1:1: expected keys and values (key: value) at the top of the file"),
    ],
)
def test_what_is_no_mapping_of_keys_is_told_once(text: str, fault: str) -> None:
    assert faults_of(text) == [fault]


def test_a_file_with_exploding_aliases_is_told_so_and_nothing_else() -> None:
    levels = ["description: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]

    faults = faults_of("\n".join(levels) + "\n" + MINIMAL)

    assert len(faults) == 1
    assert "aliases (*name) multiply" in faults[0]


def test_an_alias_that_does_not_multiply_is_good() -> None:
    text = MINIMAL.replace("password: {", "password: &secret {")
    virima = "virima: {url: https://virima.example.com, username: relay, password: *secret, lookup: session}\n"

    integration = parse(text + virima)

    assert integration.virima is not None
    assert integration.virima.password == integration.iem.password == Env("ACME_IEM_PASSWORD")


# Values


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("enabled: maybe", "1:10: enabled: expected true or false"),
        ("enabled: [true]", "1:10: enabled: expected true or false"),
        ("enabled:", "1:1: the key 'enabled' has no value"),
        ("description: [a]", "1:14: description: expected text"),
        (
            "allow_from: everybody",
            "1:13: allow_from: expected an address or a network, such as 192.0.2.17, 10.0.0.0/8 or 2001:db8::/32",
        ),
        ("records: [a, b]", "1:10: records: expected a JMESPath expression"),
        ("records:", "1:1: the key 'records' has no value"),
        ("fields: state", f"1:9: fields: {WANTS_KEYS}"),
        ("fields:", "1:1: the key 'fields' has no value"),
        ("fields: {state: []}", "1:17: state: the list is empty: it needs at least one path"),
        ("fields: {state: {a: b}}", "1:17: state: expected a JMESPath expression"),
        ("fields: {version: null}", "1:10: the key 'version' has no value"),
        ("fields: {state: [state, [b]]}", "1:25: state: expected a JMESPath expression"),
        (
            "sys_id_pattern: '[a-'",
            "1:18: sys_id_pattern: not a regular expression: this [ is not closed",
        ),
        (
            "sys_id_pattern: 'a{9999999999999}'",
            (
                "1:17: sys_id_pattern: not a regular expression: the repeats are too long: "
                "an id has at most 255 characters"
            ),
        ),
        ("sys_id_pattern: []", "1:17: sys_id_pattern: expected a regular expression"),
        ("tables: problem", "1:9: tables: expected tables, such as `problem: {states: {106: 6}}`"),
        ("tables: {problem: {106: 6}}", "1:10: missing key 'states' in 'tables.problem'"),
        ("tables: {problem: }", f"1:18: problem: {WANTS_KEYS}"),
        ("tables: {problem: {states: 6}}", f"1:28: states: {WANTS_STATES}"),
        (
            "tables: {incident: {states: {6: 6}}}",
            "1:20: incident: write the states of incidents in the top-level key `states`",
        ),
        ("unlisted_states: drop", "1:18: unlisted_states: expected one of ignore, reject"),
        ("dedupe:", "1:1: the key 'dedupe' has no value"),
        ("dedupe: 24h", f"1:9: dedupe: {WANTS_KEYS}"),
        ("dedupe: {window: 0s}", "1:18: window: 0s is out of bounds: 1s to 30d"),
        ("dedupe: {window: 31d}", "1:18: window: 31d is out of bounds: 1s to 30d"),
        ("dedupe: {collapse: 1}", "1:20: collapse: expected true or false"),
        ("retry: {first: 5}", f"1:16: first: '5' {NO_DURATION}"),
        ("retry: {first: [5s]}", "1:16: first: expected a duration, such as 30s or 24h"),
        ("retry: {first: 20m}", "1:16: first: must not be longer than `retry.most`"),
        ("retry: {give_up_after: 91d}", "1:24: give_up_after: 91d is out of bounds: 1s to 90d"),
        ("publish: true", f"1:10: publish: {WANTS_KEYS}"),
        ("publish: {heartbeat: 5}", f"1:22: heartbeat: '5' {NO_DURATION}"),
        ("  timeout: 2m", "1:12: timeout: 2m is out of bounds: 100ms to 60s"),
        ("  max_in_flight: 0", "1:18: max_in_flight: 0 is out of bounds: 1 to 256"),
        ("  max_in_flight: many", "1:18: max_in_flight: this is not a whole number, such as 6"),
        ("  auth: bearer", "1:9: auth: expected one of token, basic"),
        ("  ca_file: ''", "1:12: ca_file: expected text, found only spaces"),
        (
            "tests: {}",
            "1:8: tests: expected a list, with the keys name, payload, expect in each item",
        ),
        ("tests: [resolved]", f"1:9: tests: {WANTS_KEYS}"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_with_its_key_and_place(line: str, fault: str) -> None:
    found = behind_minimal(line)

    assert fault in found
    assert all("unknown key '106'" in other for other in found if other != fault)


@pytest.mark.parametrize(
    ("states", "faults"),
    [
        ("{6: 6, Resolved: six}", ["1:26: Resolved: this is not an IEM state: expected a whole number"]),
        ("{6: 6.0}", ["1:13: 6: '6.0' is not an IEM state: expected a whole number"]),
        ("{6: }", ["1:12: 6: this is not an IEM state: expected a whole number"]),
        ("{6: [6]}", ["1:13: 6: this is not an IEM state: expected a whole number"]),
        ("{6: 6, 6.0: 6}", ["1:21: 6.0: '6.0' is the same state as '6': delete one of them"]),
        ("{6: 6, 06: 7}", ["1:20: 06: '06' is the same state as '6': delete one of them"]),
        ("{On Hold: 3, onhold: 3}", ["1:30: onhold: 'onhold' is the same state as 'On Hold': delete one of them"]),
        (
            "{Resolved: x, RESOLVED: 6, 7: y}",
            [
                "1:20: Resolved: this is not an IEM state: expected a whole number",
                "1:33: RESOLVED: 'RESOLVED' is the same state as 'Resolved': delete one of them",
                "1:39: 7: this is not an IEM state: expected a whole number",
            ],
        ),
        ("{}", [f"1:9: states: {WANTS_STATES}"]),
        ("[6, 7]", [f"1:9: states: {WANTS_STATES}"]),
        ("", ["1:1: the key 'states' has no value"]),
    ],
)
def test_states_are_whole_numbers_and_stand_there_once(states: str, faults: list[str]) -> None:
    assert behind_minimal(f"states: {states}") == faults


@pytest.mark.parametrize(
    ("written", "at", "complaint"),
    [
        ("'a.'", 3, "it ends too early"),
        ("'a | ['", 6, "it ends too early"),
        ("'a..b'", 3, "unexpected '.'"),
        ("'a b'", 3, NO_NAME),
        ("a b", 2, NO_NAME),
        ('"a b"', 3, NO_NAME),
        ("'#a'", 1, "unexpected '#'"),
        ("'a[?b == '']'", 9, "this quote is not closed"),
        ("'a[?b == ''c''] d'", 16, NO_NAME),
        ("''", 1, "it is empty"),
    ],
)
def test_a_bad_jmespath_expression_is_told_at_its_place_in_the_line(written: str, at: int, complaint: str) -> None:
    faults = behind_minimal(f"fields: {{number: {written}}}")

    assert faults == [f"1:{18 + at}: number: not a JMESPath expression: {complaint}"]


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("'a\n    b'", "3:5"),
        (">-\n    a\n    b", "4:5"),
        ("|\n    a..b\n", "3:7"),
        ("|-\n\n      a ||\n        [\n", "5:10"),
        ("'a[?b == ''c''] d'", "2:27"),
        ('"a\\n    b"', "2:11"),
    ],
)
def test_a_place_in_an_expression_of_several_lines_is_told(written: str, place: str) -> None:
    (fault,) = behind_minimal("fields:", f"  number: {written}")

    assert fault.startswith(f"{place}: number: not a JMESPath expression: ")
    assert "\n" not in fault


def test_a_place_behind_an_escape_is_told_by_its_number() -> None:
    faults = behind_minimal("fields:", r'  number: "a\x20b"')

    assert faults == [f"2:11: number: not a JMESPath expression: {NO_NAME} (at character 3 of the value)"]


@pytest.mark.parametrize(
    ("expression", "at", "complaint"),
    [
        ("lenght(a)", 0, "unknown JMESPath function; did you mean length()?"),
        ("a[?contians(b, `6`)]", 3, "unknown JMESPath function; did you mean contains()?"),
        ("a | zzz(@)", 4, NO_FUNCTION),
        ("(" * 3_000, 0, "the JMESPath expression is nested too deeply"),
        ("||".join("a" * 3_000), 0, "the JMESPath expression is nested too deeply"),
    ],
)
def test_a_jmespath_expression_that_can_never_work_is_refused(expression: str, at: int, complaint: str) -> None:
    assert behind_minimal(f"records: '{expression}'") == [f"1:{11 + at}: records: {complaint}"]


# What cancels out


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        (("allow_from: [10.0.0.0/8, 0.0.0.0/0]",), "1:26: allows any address: the other networks have no effect"),
        (
            ("retry: {first: 5m, give_up_after: 1m}",),
            "1:20: is shorter than `retry.first`: deliveries are given up before the first retry",
        ),
        (("publish: {events: off}",), "1:1: has no effect: none of its keys is switched on"),
        (
            (
                "fields: {table: nowhere}",
                "virima: {url: 'http://localhost', username: a, password: {env: A}, lookup: session, ca_file: a}",
            ),
            "2:85: has no effect: `virima.url` is http, without certificates",
        ),
    ],
)
def test_keys_that_cancel_each_other_are_warned_of(lines: tuple[str, ...], warning: str) -> None:
    assert warnings_of(MINIMAL + "\n".join(lines)) == [warning]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            "{type: hmac, header: X-A, timestamp_header: x-a, secret: {env: A}}",
            "is also the header of the signature",
        ),
        ("{type: header, header: X_KEY, value: {env: A}}", "'X_KEY' never arrives"),
    ],
)
def test_a_sender_that_can_never_be_let_in_is_warned_of(method: str, message: str) -> None:
    text = MINIMAL.replace("auth: none", f"auth: [{method}]")

    (warning,) = warnings_of(text)

    assert message in warning
    assert warning.startswith("2:")


def test_the_same_way_to_authenticate_twice_is_warned_of() -> None:
    one = "{type: header, header: X-Key, value: {env: A}}"

    assert warnings_of(MINIMAL.replace("auth: none", f"auth: [{one}, {one}]")) == [
        "2:56: has no effect: the list already contains the same method"
    ]


def test_tables_without_a_path_to_the_table_are_warned_of() -> None:
    exchange = MINIMAL.replace("servicenow", "service-exchange") + "tables: {problem: {states: {1: 6}}}\n"

    assert warnings_of(exchange) == ["9:1: has no effect: without a path in `fields.table`, no record names its table"]


@pytest.mark.parametrize("text", [EXAMPLE, MINIMAL], ids=["the design's", "the shortest"])
def test_a_usual_file_has_no_warnings(text: str) -> None:
    assert warnings_of(text) == []


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


def test_what_cancels_out_is_told_beside_faults() -> None:
    method = "{type: header, header: X_KEY, value: {env: A}}"
    text = (
        MINIMAL.replace("none", f"[{{type: basic}}, {method}]")
        + "publish: {events: off}\nretry: {first: 30s, most: 1}\n"
    )

    parsed = parse_mapping_file("acme", text, load_presets())

    assert [one.position.line for one in parsed.faults] == [2, 2, 10]
    assert [f"{one.position.line}: {one.message}" for one in parsed.warnings] == [
        "2: 'X_KEY' never arrives: web servers drop headers with an underscore",
        "9: has no effect: none of its keys is switched on",
    ]


def test_a_user_name_that_nobody_can_send_is_warned_of() -> None:
    text = MINIMAL.replace("none", "[{type: basic, username: 'a:b', password: {env: A}}]")

    assert warnings_of(text) == ["2:22: contains a colon, which a user name cannot (RFC 7617)"]


def test_failing_tests_are_told_beside_faults_of_the_text() -> None:
    tests = "tests: [{name: a, payload: {}, expect: {state: 6}}]\n"

    assert [one.partition(": ")[2][:12] for one in faults_of(MINIMAL + "source: servicenow\n" + tests)] == [
        "duplicate ke",
        "tests: 'a' e",
    ]


@pytest.mark.parametrize("header", ["'X-API-Key:'", "X API", '"X-A\\nX-B"', "schlüssel", "''"])
def test_a_header_that_http_cannot_have_is_a_fault(header: str) -> None:
    (*_, fault) = faults_of(MINIMAL.replace("none", f"[{{type: header, header: {header}, value: {{env: A}}}}]"))

    assert fault.startswith("2:31: header: expected an HTTP name, such as X-API-Key")


@pytest.mark.parametrize(
    ("before", "after", "faults"),
    [
        (
            "  password: ",
            "  password ",
            [
                "3:1: missing key 'password' in 'iem'",
                "8:3: unknown key; a colon and a space are missing after 'password'",
            ],
        ),
        (
            "  username: ",
            "  username relay: ",
            [
                "3:1: missing key 'username' in 'iem'",
                "7:3: unknown key; a colon and a space are missing after 'username'",
            ],
        ),
        (
            "  username: relay@example.com\n  password: {env: ACME_IEM_PASSWORD}",
            "  username: relay\n    password hunter2",
            [
                "3:1: missing key 'password' in 'iem'",
                "8:5: the value above continues here: are a colon and a space missing?",
            ],
        ),
        (
            "{env: ACME_IEM_PASSWORD}",
            "&hunter2",
            ["8:3: the key 'password' has no value: text that begins with & or ! must be quoted"],
        ),
    ],
)
def test_a_slip_among_credentials_is_told_without_them(before: str, after: str, faults: list[str]) -> None:
    assert faults_of(MINIMAL.replace(before, after)) == faults


@pytest.mark.parametrize("key", ["hunter2", "password hunter2", "password:hunter2", "passwordhunter2", "x" * 200])
def test_an_unknown_or_repeated_key_among_credentials_is_named_only_if_it_is_like_a_known_one(key: str) -> None:
    text = MINIMAL.replace("iem:", f"iem:\n  '{key}': 1\n  '{key}': 2\n  usrname: a").replace("auth: none", "auth: {}")

    parsed = parse_mapping_file("acme", text, load_presets())

    told = str([(one.message, one.key) for one in parsed.faults])
    assert key not in told
    assert "unknown key 'usrname'; did you mean 'username'?" in told


# Secrets and URLs


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("password: {env: ACME_WEBHOOK_PASSWORD}", "password: %s", "password"),
        ("secret: [{env: ACME_HMAC_NEW}, {env: ACME_HMAC_OLD}]", "secret: %s", "secret"),
        ("secret: [{env: ACME_HMAC_NEW}, {env: ACME_HMAC_OLD}]", "secret: [{env: ACME_HMAC_NEW}, %s]", "secret"),
        ("value: {file: /run/secrets/acme_key}", "value: %s", "value"),
        ("secret: {env: ACME_WHSEC}", "secret: %s", "secret"),
        ("password: {env: ACME_IEM_PASSWORD}", "password: %s", "password"),
        ("password: {env: VIRIMA_PASSWORD}", "password: %s", "password"),
    ],
)
@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("hunter2", NOT_SECRET),
        ('"hunter2"', NOT_SECRET),
        ("1234567", NOT_SECRET),
        ("{hunter2}", WANTS_SECRET),
        ("{plain: hunter2}", WANTS_SECRET),
        ("{env: A, file: hunter2}", WANTS_SECRET),
        ("{env: [hunter2]}", WANTS_SECRET),
        ("{file: ''}", WANTS_SECRET),
        ("{env: hunter2!}", "not the name of an environment variable: use letters, digits and _"),
    ],
)
def test_a_plain_secret_is_refused_in_every_place_and_never_told(
    before: str, after: str, key: str, written: str, problem: str
) -> None:
    assert EXAMPLE.count(before) == 1
    text = EXAMPLE.replace(before, after % written)
    at = text.index(after % written) + after.index("%s")
    line, column = text.count("\n", 0, at) + 1, at - text.rindex("\n", 0, at)

    faults = faults_of(text)

    assert faults == [f"{line}:{column}: {key}: {problem}"]
    assert "hunter2" not in faults[0]


@pytest.mark.parametrize("key", ["password", "url", "username"])
def test_a_secret_in_the_wrong_place_is_not_told_by_its_neighbours(key: str) -> None:
    faults = faults_of(MINIMAL.replace(f"  {key}:", f"  {key}: &x hunter2\n  {key}x:"))

    assert faults
    assert not any("hunter2" in fault for fault in faults)


@pytest.mark.parametrize(
    "url",
    [
        "https://iem.example.com",
        "https://iem.example.com:8443/base/",
        "HTTPS://IEM.EXAMPLE.COM",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:8080/",
        "http://LOCALHOST",
        "https://iem.example.com/a@b",
        "{env: ACME_IEM_URL}",
        "{file: /run/secrets/iem_url}",
    ],
)
def test_a_url_is_https_or_loopback_or_stands_elsewhere(url: str) -> None:
    assert faults_of(MINIMAL.replace("https://iem.example.com", f'"{url}"' if "{" not in url else url)) == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://iem.example.com", "http would send credentials unencrypted: use https, except for a loopback host"),
        ("http://10.0.0.1", "http would send credentials unencrypted: use https, except for a loopback host"),
        (
            "http://localhost.example.com",
            "http would send credentials unencrypted: use https, except for a loopback host",
        ),
        ("http://127.0.0.1@iem.example.com", "a base URL must not contain a user, query or fragment"),
        ("https://ann:hunter2@iem.example.com", "a base URL must not contain a user, query or fragment"),
        ("https://:hunter2@iem.example.com", "a base URL must not contain a user, query or fragment"),
        ("https://iem.example.com/?token=hunter2", "a base URL must not contain a user, query or fragment"),
        ("https://iem.example.com/#a", "a base URL must not contain a user, query or fragment"),
        ("iem.example.com", "expected a URL such as https://iem.example.com"),
        ("ftp://iem.example.com", "expected a URL such as https://iem.example.com"),
        ("https://", "expected a URL such as https://iem.example.com"),
        ("https://iem.example.com:https", "invalid URL: "),
        ("https://iem.example.com:99999", "invalid URL: "),
        ("https://[::1", "invalid URL: "),
        ("https://iem.example.com:hunter2", "invalid URL: "),
        ("https://iem.example.com /", "a URL must not contain blanks"),
        (" https://iem.example.com", "a URL must not contain blanks"),
        ("https://iem.example\\n.com", "a URL must not contain blanks"),
        ("https://iem.example.com/?", "a base URL must not contain a user, query or fragment"),
        ("https://:443", "expected a URL such as https://iem.example.com"),
        ("https://a\\\\b", "expected a URL such as https://iem.example.com"),
        ("", "expected text, found only spaces"),
    ],
)
def test_any_other_url_is_refused_with_its_reason_and_without_its_secret(url: str, problem: str) -> None:
    (fault,) = faults_of(MINIMAL.replace("https://iem.example.com", f'"{url}"'))

    assert fault.startswith(f"4:8: url: {problem}")
    assert "hunter2" not in fault


# The file's own tests

NO_ID = "sys_id: no value at `sys_id` (the mapping's `fields.sys_id`)"


def test_tests_that_hold_are_no_faults() -> None:
    tests = f"""\
tests:
  - {{name: relayed, payload: {{sys_id: {TICKET}, state: 6}}, expect: {{state: 6}}}}
  - {{name: a batch, payload: [{{sys_id: {TICKET}, state: 6}}, {{sys_id: {TICKET}, state: Closed}}], expect: {{state: 6}}}}
  - {{name: on hold, payload: {{sys_id: {TICKET}, state: "3"}}, expect: {{ignored: true}}}}
  - {{name: no id, payload: {{state: 6}}, expect: {{rejected: sys_id}}}}
  - {{name: no state, payload: {{sys_id: {TICKET}}}, expect: {{rejected: state}}}}
  - {{name: neither, payload: {{number: INC0010023}}, expect: {{rejected: state}}}}
  - {{name: nothing, payload: null, expect: {{rejected: records}}}}
"""

    assert len(parse(MINIMAL + tests).tests) == 7


@pytest.mark.parametrize(
    ("payload", "expect", "complaint"),
    [
        (f"{{sys_id: {TICKET}, state: 6}}", "{state: 7}", "expects state 7, but the payload is relayed with state 6"),
        (
            f"{{sys_id: {TICKET}, state: 6}}",
            "{ignored: true}",
            "expects ignored, but the payload is relayed with state 6",
        ),
        (
            f"{{sys_id: {TICKET}, state: 6}}",
            "{rejected: sys_id}",
            "expects rejected because of sys_id, but the payload is relayed with state 6",
        ),
        (
            f"{{sys_id: {TICKET}, state: 3}}",
            "{state: 6}",
            "expects state 6, but the payload is ignored (state 3 is not listed in the mapping's `states`)",
        ),
        (
            "{state: 6}",
            "{state: 6}",
            f"expects state 6, but the payload is rejected ({NO_ID})",
        ),
        (
            "{state: 6}",
            "{rejected: state}",
            f"expects rejected because of state, but the payload is rejected ({NO_ID})",
        ),
        (
            f"[{{sys_id: {TICKET}, state: 6}}, {{sys_id: {TICKET}, state: 3}}]",
            "{state: 6}",
            "expects state 6, but the payload is ignored (state 3 is not listed in the mapping's `states`)",
        ),
    ],
)
def test_a_test_that_fails_is_a_fault_at_its_place(payload: str, expect: str, complaint: str) -> None:
    lines = ("tests:", f"  - {{name: good, payload: {{sys_id: {TICKET}, state: 6}}, expect: {{state: 6}}}}")

    faults = behind_minimal(*lines, f"  - {{name: the example, payload: {payload}, expect: {expect}}}")

    assert faults == [f"3:5: tests: 'the example' {complaint}"]


@pytest.mark.parametrize(
    ("test", "faults"),
    [
        ("{}", [f"2:5: missing key '{key}' in 'tests[0]'" for key in ("name", "payload", "expect")]),
        ("{name: '', payload: 6, expect: {state: 6}}", ["2:12: name: expected text, found only spaces"]),
        (
            "{name: x, payload: 6, expect: {}}",
            ["2:35: expect: expected exactly one of `state: NUMBER`, `ignored: true`, `rejected: FIELD`"],
        ),
        (
            "{name: x, payload: 6, expect: {state: 6, ignored: true}}",
            ["2:35: expect: expected exactly one of `state: NUMBER`, `ignored: true`, `rejected: FIELD`"],
        ),
        (
            "{name: x, payload: 6, expect: {ignored: false}}",
            ["2:45: ignored: write `ignored: true`, or the expected state"],
        ),
        ("{name: x, payload: 6, expect: {state: six}}", ["2:43: state: this is not a whole number, such as 6"]),
        (
            "{name: x, payload: 6, expect: {rejected: sysid}}",
            ["2:46: rejected: 'sysid' is not one of sys_id, state, records; did you mean 'sys_id'?"],
        ),
        ("{name: x, payload: 6, expect: relayed}", [f"2:35: expect: {WANTS_KEYS}"]),
    ],
)
def test_a_test_that_is_no_test_is_a_fault(test: str, faults: list[str]) -> None:
    assert behind_minimal("tests:", f"  - {test}") == faults


def test_tests_are_not_run_while_the_file_has_other_faults() -> None:
    test = "tests: [{name: x, payload: {}, expect: {state: 6}}]"

    assert behind_minimal("enabld: true", test) == ["1:1: unknown key 'enabld'; did you mean 'enabled'?"]


# Totality

SCRAPS = st.sampled_from([*"\n\t :-#'\"{}[],!|6a\\(@", "", "\n  ", ": ", "- ", "&a ", "*a", "null", "${"])
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["none", "6", "state", "a.b", "10s", "https://a", "true", "basic", "{env: A}"]
)
NAMES = st.sampled_from(sorted({str(path[-1]) for path in keys_of_the_schema(EXAMPLE)}))
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
def test_an_example_with_something_changed_is_an_integration_or_has_faults(data: st.DataObject) -> None:
    text = EXAMPLE
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 20, len(text))))
        text = text[:start] + data.draw(SCRAPS) + text[end:]

    assert_total(text)


@settings(max_examples=examples(120), deadline=None)
@given(st.dictionaries(NAMES | TEXTS, TREES, max_size=8), st.booleans())
def test_any_tree_of_keys_is_an_integration_or_has_faults(tree: dict[str, object], beside_a_good_file: bool) -> None:
    lines = [f"{as_yaml(key)}: {as_yaml(value)}" for key, value in tree.items()]

    assert_total((MINIMAL if beside_a_good_file else "") + "\n".join(lines))


def as_yaml(value: object) -> str:
    """Return the flow form of a tree, every text in quotes."""
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
    """A text comes to an integration or to faults, in the order of their lines, each with a place and a message."""
    parsed = parse_mapping_file("acme", text, load_presets())

    assert (parsed.integration is None) == bool(parsed.faults)
    assert list(parsed.faults) == sorted(parsed.faults, key=lambda fault: fault.position)
    for fault in parsed.faults:
        assert 1 <= fault.position.line <= len(text.splitlines()) + 2
        assert fault.position.column >= 1
        assert fault.message


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_a_preset_that_is_enough(source: str) -> None:
    integration = parse(MINIMAL.replace("servicenow", source))

    assert {"sys_id", "state", "number", "version", "updated_at", "resolved_by"} <= set(integration.fields)
    assert set(integration.states.values()) == {6}
