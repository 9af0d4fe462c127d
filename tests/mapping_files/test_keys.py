"""Missing, unknown, misspelt and duplicate keys of mapping files, and files that are not blocks of keys."""

from __future__ import annotations

import pytest
from mapping_files.mapping_texts import (
    FULL,
    IEM,
    MINIMAL,
    WANTS_KEYS,
    faults_after_minimal,
    faults_of,
    keys_of_the_schema,
    parse,
)

from relay.core.mapping_blocks import (
    FIELDS,
)
from relay.core.references import Env
from relay.mapping_files.document import DocumentPath, read_document

#: The keys at the top of a file.
TOP = (
    "allow_from, auth, dedupe, description, enabled, fields, iem, publish, rate_limit, records, retry, source, states, "
    "sys_id_pattern, tables, tests, unlisted_states, virima"
)


@pytest.mark.parametrize("path", keys_of_the_schema(FULL), ids=lambda path: ".".join(map(str, path)))
def test_a_misspelt_key_is_reported_with_the_intended_key(path: DocumentPath) -> None:
    key, place = str(path[-1]), read_document(FULL).keys[path]
    misspelt = key + key[-1]
    lines = FULL.splitlines(keepends=True)
    line = lines[place.line - 1]
    lines[place.line - 1] = line[: place.column - 1] + misspelt + line[place.column - 1 + len(key) :]

    faults = faults_of("".join(lines))

    assert f"{place.line}:{place.column}: unknown key '{misspelt}'; did you mean '{key}'?" in faults
    assert len(faults) <= 2  # the second is about the key that is missing now


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
def test_an_unknown_key_is_reported_with_the_known_keys(line: str, fault: str) -> None:
    assert faults_after_minimal(line) == [fault]


def test_every_missing_key_is_reported() -> None:
    assert faults_of("{}") == ["1:1: missing key 'source'", "1:1: missing key 'auth'", "1:1: missing key 'iem'"]
    assert faults_after_minimal("virima: {}") == [
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
def test_the_missing_keys_of_each_authentication_method_are_reported(auth: str, faults: list[str]) -> None:
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
def test_a_file_without_an_authentication_method_is_refused(auth: str, fault: str) -> None:
    assert faults_of(f"source: servicenow\n{auth}\n{IEM}") == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (MINIMAL + "source: servicenow\n", "9:1: duplicate key 'source': it is already used on line 1"),
        (MINIMAL + "states: {6: 6, 7: 6, 6: 7}\n", "9:22: duplicate key '6': it is already used on line 9"),
        (MINIMAL.replace("{env: ", "{env: A, env: "), "8:22: duplicate key 'env': it is already used on line 8"),
        (MINIMAL + "\tenabled: true\n", "9:1: tabs cannot be used here: indent with spaces"),
        (MINIMAL + "---\n" + MINIMAL, "9:1: a second document begins here ('---'): a mapping file is one document"),
        (
            MINIMAL + "description: a: b\n",
            "9:15: this colon does not follow a key: check the indentation, or quote the value",
        ),
        (MINIMAL + "? [a, b]\n: c\n", "9:3: a key must be text"),
        ("", "1:1: the file is empty"),
        ("~", "1:1: expected keys and values (key: value) at the top of the file"),
        ("- source: servicenow", "1:1: expected keys and values (key: value) at the top of the file"),
        ("servicenow", "1:1: expected keys and values (key: value) at the top of the file"),
    ],
)
def test_a_file_without_valid_keys_has_one_fault(text: str, fault: str) -> None:
    assert faults_of(text) == [fault]


def test_multiplying_aliases_are_the_only_fault() -> None:
    levels = ["description: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]

    faults = faults_of("\n".join(levels) + "\n" + MINIMAL)

    assert len(faults) == 1
    assert "aliases (*name) multiply" in faults[0]


def test_an_alias_that_does_not_multiply_is_accepted() -> None:
    text = MINIMAL.replace("password: {", "password: &secret {")
    virima = "virima: {url: https://virima.example.com, username: relay, password: *secret, lookup: session}\n"

    integration = parse(text + virima)

    assert integration.virima is not None
    assert integration.virima.password == integration.iem.password == Env("ACME_IEM_PASSWORD")
