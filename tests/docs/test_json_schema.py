"""`mappings/schema.json` is the code's schema, and accepts and refuses the same files as the relay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from docs.markdown import ROOT, read_text
from docs.site_mappings import whole_files
from jsonschema import Draft202012Validator

from relay.cli.main import relay
from relay.mapping_files.json_schema import make_json_schema
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets

SCHEMA: dict[str, Any] = json.loads(read_text("mappings/schema.json"))
VALIDATOR = Draft202012Validator(SCHEMA)
EXAMPLES = sorted((ROOT / "mappings").glob("*.yaml"))
FULL = read_text("tests/full-mapping.yaml")
MINIMAL = """\
source: servicenow
auth: none
iem: {url: https://iem.example.com, customer_id: ACME, integration_id: 42, username: a, password: {env: A}}
"""


def as_json(text: str) -> Any:
    """Return YAML as an editor sees it: as JSON, whose keys are texts."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def properties_of(shape: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each key that a JSON Schema names, with its own schema."""
    if isinstance(shape, dict):
        for key, below in shape.get("properties", {}).items():
            yield f"{path}.{key}", below
        for word, below in shape.items():
            if word not in {"examples", "default", "allOf"}:
                yield from properties_of(below, f"{path}.{word}")
    elif isinstance(shape, list):
        for below in shape:
            yield from properties_of(below, path)


def test_the_checked_in_schema_is_the_one_that_the_command_prints() -> None:
    result = CliRunner().invoke(relay, ["mappings", "schema"])

    assert result.exit_code == 0
    assert result.output == read_text("mappings/schema.json"), "run `make generated`"
    assert make_json_schema(load_presets()) == SCHEMA


def test_it_is_a_schema_of_the_dialect_it_names() -> None:
    Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_has_a_description_and_examples_that_are_valid() -> None:
    keys = list(properties_of(SCHEMA))

    assert len(keys) > 70
    for path, shape in keys:
        if ".properties.properties" not in path:
            assert shape["description"], path
            assert shape["examples"], path
        for example in shape["examples"]:
            assert Draft202012Validator(shape).is_valid(example), (path, example)


def test_defaults_are_valid_also_those_of_the_source() -> None:
    for path, shape in properties_of(SCHEMA):
        assert Draft202012Validator(shape).is_valid(shape.get("default", shape["examples"][0])), path
    defaults = [one["then"]["properties"]["sys_id_pattern"]["default"] for one in SCHEMA["allOf"]]
    assert defaults == [preset["sys_id_pattern"] for preset in load_presets().values()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_file_is_valid_and_names_the_schema_for_editors(path: Any) -> None:
    text = path.read_text("utf-8")

    assert [error.message for error in VALIDATOR.iter_errors(as_json(text))] == []
    assert text.splitlines()[0] == "# yaml-language-server: $schema=schema.json"


@pytest.mark.parametrize("text", [FULL, MINIMAL], ids=["full", "shortest"])
def test_a_good_file_is_valid(text: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(as_json(text))] == []


def test_each_mapping_file_on_the_pages_is_valid() -> None:
    assert [error.message for text in whole_files() for error in VALIDATOR.iter_errors(as_json(text))] == []


@pytest.mark.parametrize(
    "line",
    [
        "stats: {6: 6}",
        "states: {6: six}",
        "states: {6: 6.5}",
        "states: {}",
        "enabled: maybe",
        "enabled: 1",
        "allow_from: []",
        "fields: {sysid: a}",
        "fields: {state: []}",
        "tables: {incident: {states: {6: 6}}}",
        "tables: {problem: {6: 6}}",
        "unlisted_states: drop",
        "dedupe: {window: 24}",
        "retry: {first: soon}",
        "virima: {url: https://virima.example.com}",
        "publish: {logs: true}",
        "tests: [{name: a, payload: 1}]",
        "tests: [{name: a, payload: 1, expect: {}}]",
        "tests: [{name: a, payload: 1, expect: {state: 6, ignored: true}}]",
        "auth: []",
        "auth: basic",
        "auth: [{type: basic, username: a}]",
        "auth: [{type: basic, username: a, password: hunter2}]",
        "auth: [{type: header, header: A, value: {env: A, file: b}}]",
        "auth: [{type: bearer}]",
        "source: servicenov",
        "states: {6: ٦}",
        "dedupe: {window: ٢h}",
        "tables: {Incident: {states: {6: 6}}}",
        "tests: [{name: a, payload: 1, expect: {ignored: false}}]",
        "tests: [{name: a, payload: 1, expect: {rejected: records, state: ~}}]",
        "auth: [{type: header, header: 'X-API-Key:', value: {env: A}}]",
        "records: 1",
        *(
            f"iem: {{url: '{url}', customer_id: A, integration_id: 4, username: a, password: {{env: A}}}}"
            for url in (
                "https://h/?",
                "https://h/#",
                "https://:443",
                "https://h:port",
                "https:///a",
                "https://h h",
                " https://h",
            )
        ),
        "iem: {url: https://a, customer_id: A, integration_id: 4, username: a, password: {env: A}, max_in_flight: '999'}",
        "iem: {url: https://a, customer_id: A, integration_id: 4, username: a, password: {env: A}, max_in_flight: '257'}",
        "iem: {url: http://iem.example.com, customer_id: A, integration_id: 4, username: a, password: {env: A}}",
        "iem: {url: https://a@b, customer_id: A, integration_id: 4, username: a, password: {env: A}}",
        "iem: {url: https://a, customer_id: ' ', integration_id: 4, username: a, password: {env: A}}",
        "iem: {url: https://a, customer_id: A, integration_id: 4, username: a, password: {env: 'A B'}}",
        "iem: {url: https://a, customer_id: A, integration_id: 4, username: a, password: {env: A}, max_in_flight: 0}",
    ],
)
def test_the_schema_refuses_what_the_relay_refuses(line: str) -> None:
    key = line.partition(":")[0]
    kept = [one for one in MINIMAL.splitlines() if not one.startswith(f"{key}:")]
    text = "\n".join([*kept, line])

    assert parse_mapping_file("acme", text, load_presets()).faults
    assert not VALIDATOR.is_valid(as_json(text))


@pytest.mark.parametrize(
    "lines",
    [
        "description: no\nstates: {no: 6, 1e3: 7, 010: 8, null: 9}\nenabled: off",
        "virima:\npublish: ~\ndescription:",
        "enabled: 'true'",
        "enabled: 'Yes'",
        "enabled: 'OFF'",
        "dedupe: {window: ' 24h'}",
        "sys_id_pattern: 123",
        "fields: {number: true}",
        "tables: {incidents: {states: {6: 6}}}",
        "iem: {url: https://h/a@b, customer_id: A, integration_id: 4, username: a, password: {file: 5}, max_in_flight: '+0256'}",
        "iem: {url: http://LOCALHOST, customer_id: A, integration_id: 4, username: a, password: {env: true}}",
        "allow_from: 10.0.0.1\ndedupe: {window: 1.5h, collapse: yes}\nretry: {first: '5 s'}",
        "sys_id_pattern: '[0-9]'\nrecords: 'a[?b==`6`]'\nfields: {state: [a, b], sys_id: c}",
        "tests: [{name: 1, payload: null, expect: {rejected: records}}]",
        "tables: {1: {states: {1: '6'}}}",
        "auth: [{type: hmac, header: X, secret: [{env: A}, {file: b}], timestamp_header: null}]",
        "iem: {url: 'http://[::1]:80/a', customer_id: 1, integration_id: 0042, username: {file: /a}, password: {env: A}}",
        "iem: {url: {env: A}, customer_id: A, integration_id: 4, username: a, password: {file: a}, ca_file: null}",
    ],
)
def test_the_schema_accepts_what_the_relay_accepts(lines: str) -> None:
    key = lines.partition(":")[0]
    kept = [one for one in MINIMAL.splitlines() if not one.startswith(f"{key}:")]
    text = "\n".join([*kept, lines])

    assert parse_mapping_file("acme", text, load_presets()).faults == ()
    assert [error.message for error in VALIDATOR.iter_errors(as_json(text))] == []


@pytest.mark.parametrize("key", ["source", "auth", "iem"])
def test_a_missing_key_is_reported(key: str) -> None:
    content = as_json(MINIMAL)
    del content[key]

    assert [error.message for error in VALIDATOR.iter_errors(content)] == [f"'{key}' is a required property"]
