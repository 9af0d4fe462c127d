"""`relay servicenow`: what it prints, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from commands import run_relay
from harness import IEM_PASSWORD, WEBHOOK_PASSWORD, base_environ, mapping, write_mapping
from servicenow.instance import (
    Instance,
    call_command,
    node,
    script_of,
    service_answering,
    settings_of,
    state,
    statements_of,
    ticket,
)
from servicenow.integrations import HMAC, IEM, KINDS

from relay.cli.main import relay
from relay.core.values import state_key

HEADER = {"type": "header", "header": "X-API-Key", "value": {"file": "/run/secrets/acme key"}}
WEBHOOKS = {"type": "standard-webhooks", "secret": [{"env": "NEW"}, {"env": "OLD"}]}
VARIANTS = [(), ("--when", "async"), ("--sweep",)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    basic = mapping(IEM)["auth"][0]
    tables = {"problem": {"states": {106: 6}}, "Change Request": {"states": {3: 6}}}
    write_mapping(tmp_path, "acme", mapping(IEM, auth=[basic, HMAC, HEADER, WEBHOOKS], tables=tables))
    return tmp_path


def put(folder: Path, **changes: Any) -> None:
    write_mapping(folder, "acme", mapping(IEM, **changes))


def guide_of(script: str) -> list[str]:
    head = script[: script.index("*/")]
    return [line.removeprefix(" *").strip() for line in head.splitlines()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", VARIANTS, ids=["after", "async", "sweep"])
def test_the_output_is_one_statement_of_ecmascript_5(folder: Path, kind: str, options: tuple[str, ...]) -> None:
    script = script_of(folder, "acme", *options, "--auth", kind)

    assert statements_of(script) == ["ExpressionStatement"]
    assert script.startswith("/*\n")
    assert "//= " not in script


def test_the_ecmascript_5_check_refuses_newer_syntax() -> None:
    for newer in ("let a = 1;", "var f = () => 1;", "var a = `b`;", "var {a} = b;", "f(a,);"):
        with pytest.raises(AssertionError, match="SyntaxError"):
            statements_of(newer)


def test_the_guide_lists_the_set_up_in_numbered_steps(folder: Path) -> None:
    guide = guide_of(script_of(folder, "acme", "--url", "https://relay.example.com/"))

    assert [line[:2] for line in guide if re.match(r"\d\.", line)] == ["1.", "2.", "3.", "4."]
    for line in (
        "Name              relay.acme.url",
        "Value             https://relay.example.com/webhooks/acme",
        "Name              Relay acme",
        "Authentication    Basic, with a new profile: user name sn, password: the value of {env: ACME_WEBHOOK_PASSWORD}",
        "Table             incident",
        "Active, Advanced  checked",
        "When              after, Insert and Update checked",
        "Condition         current.state.changes()",
        "relay servicenow acme --sweep --url https://relay.example.com",
        "relay servicenow acme --table problem --url https://relay.example.com",
        "relay servicenow acme --table change_request --url https://relay.example.com",
    ):
        assert line in guide


def test_the_guide_of_a_sweep_says_how_often_it_runs(folder: Path) -> None:
    guide = guide_of(script_of(folder, "acme", "--sweep", "--table", "problem", "--auth", "hmac"))

    assert "Run               Periodically, every 15 minutes" in guide
    assert "relay servicenow acme --sweep --auth hmac" in guide
    assert any("`relay servicenow acme --table problem --sweep --hours 24 --auth hmac`" in line for line in guide)


def test_a_missing_address_is_marked_as_to_be_changed(folder: Path) -> None:
    assert "Value             https://CHANGE-ME/webhooks/acme     <-- CHANGE to the relay's address" in guide_of(
        script_of(folder, "acme")
    )


@pytest.mark.parametrize(
    ("kind", "instructions"),
    [
        (
            "hmac",
            ["the value of {env: ACME_HMAC}, encoded in base64:", "printf %s \"$ACME_HMAC\" | base64 | tr -d '\\n'"],
        ),
        ("header", ["the value of {file: /run/secrets/acme key}"]),
        ("standard-webhooks", ["the value of {env: NEW}, with or without the prefix whsec_"]),
    ],
)
def test_the_guide_says_where_the_key_comes_from(folder: Path, kind: str, instructions: list[str]) -> None:
    guide = guide_of(script_of(folder, "acme", "--auth", kind))

    at = guide.index("Type              password2")
    assert guide[at - 1] == "Name              relay.acme.key"
    assert guide[at + 1] == f"Value             {instructions[0]}"
    assert guide[at + 2 : at + 1 + len(instructions)] == instructions[1:]
    assert "Authentication    No authentication" in guide


def test_a_key_in_a_file_is_encoded_from_that_file(folder: Path) -> None:
    put(folder, auth=[{**HMAC, "secret": {"file": "/run/it's a key"}}])

    assert "printf %s \"$(cat '/run/it'\"'\"'s a key')\" | base64 | tr -d '\\n'" in guide_of(script_of(folder, "acme"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_contains_only_its_own_authentication(folder: Path, kind: str) -> None:
    script = script_of(folder, "acme", "--auth", kind)

    assert ("generateMac" in script) == (kind in {"hmac", "standard-webhooks"})
    assert ("webhook-id" in script) == (kind == "standard-webhooks")
    assert ("toHex" in script) == (kind == "hmac")
    assert ("relay.acme.key" in script) == (kind != "basic")


@pytest.mark.parametrize("options", VARIANTS, ids=["after", "async", "sweep"])
def test_no_secret_is_printed_even_if_all_are_readable(folder: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    key = tmp_path / "key"
    key.write_text("file-secret-1", "utf-8")
    write_mapping(
        folder, "acme", mapping(IEM, auth=[*mapping(IEM)["auth"], HMAC, {**HEADER, "value": {"file": str(key)}}])
    )
    secrets = {
        "ACME_HMAC": "hmac-secret-1",
        "ACME_WEBHOOK_PASSWORD": WEBHOOK_PASSWORD,
        "ACME_IEM_PASSWORD": IEM_PASSWORD,
    }

    for kind in ("basic", "hmac", "header"):
        result = call_command(folder, "acme", *options, "--auth", kind, **secrets)

        assert result.exit_code == 0
        assert [secret for secret in (*secrets.values(), "file-secret-1") if secret in result.output] == []


def test_standard_output_contains_only_the_script(folder: Path) -> None:
    put(folder, enabled="false", unlisted_states="reject", dedupe={"window": "12h", "collapse": "false"})

    result = call_command(folder, "acme", "--sweep")

    assert result.exit_code == 0
    assert result.stdout.endswith("})();\n")
    assert result.stderr.splitlines() == [
        "The integration acme is disabled: the relay answers its webhooks with 404.",
        (
            "The mapping sets `unlisted_states: reject`: the relay answers a reopening with 422, and treats the next "
            "resolution as a repeat. Write `unlisted_states: ignore`."
        ),
        "The mapping sets `collapse: false`: each update of a resolved ticket is pushed to IEM again, with the same state.",
        (
            "`--hours 24` is longer than the mapping's `dedupe.window` (12h): after that time only `dedupe.collapse` "
            "recognises a repeat."
        ),
    ]
    assert [line for line in result.stderr.splitlines() if line not in guide_of(result.stdout)] == []
    assert call_command(folder, "acme").stderr.count("\n") == 2


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"source": "service-exchange"}, "its source is service-exchange: only ServiceNow runs these scripts"),
        (
            {"fields": {"version": ["to_number(rev)"]}},
            (
                "`fields.version` is `to_number(rev)`: a script cannot derive the place of the version from it. Add a path "
                "of names and dots that no other field uses, such as `sys_mod_count`. The relay uses the first path of the "
                "list that has a value"
            ),
        ),
        ({"fields": {"sys_id": "ids[0]"}}, "`fields.sys_id` is `ids[0]`: a script cannot derive"),
        ({"fields": {"state": "join('', [a, b])"}}, "`fields.state` is `join('', [a, b])`: a script cannot derive"),
        ({"fields": {"state": "`6` || state"}}, "`fields.state` is ``6` || state`: a script cannot derive"),
        ({"fields": {"table": "'problem'"}}, "`fields.table` is `'problem'`: a script cannot derive"),
        ({"fields": {"number": "sys_id"}}, "`fields.number` is `sys_id`: a script cannot derive"),
        ({"fields": {"number": "state.number"}}, "`fields.number` is `state.number`: a script cannot derive"),
        ({"fields": {"resolved_by": "__proto__.email"}}, "`fields.resolved_by` is `__proto__.email`"),
        ({"fields": {"number": "[a, number] | [0]"}}, "`fields.number` is `[a, number] | [0]`"),
        ({"records": "events[?type=='incident']"}, "`records` is `events[?type=='incident']`: a script cannot derive"),
        ({"sys_id_pattern": "^INC[0-9]+$"}, "`sys_id_pattern` is `^INC[0-9]+$`: a sys_id of ServiceNow, such as 9d38"),
    ],
)
def test_a_mapping_without_a_usable_path_is_refused_with_advice(
    folder: Path, changes: dict[str, Any], complaint: str
) -> None:
    put(folder, **changes)

    result = call_command(folder, "acme")

    assert (result.exit_code, result.stdout) == (1, "")
    assert str(result.exception).startswith(f"{folder}/acme.yaml: {complaint}")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["acme", "--table", "sc_task"],
            "does not relay the table sc_task: it relays incident, change_request, problem",
        ),
        (["open", "--auth", "basic"], "the mapping has no `auth` of type basic: it has `auth: none`"),
        (["single", "--auth", "header"], "the mapping has no `auth` of type header: it has basic"),
        (["odd", "--table", "Änderung"], "änderung is not a table name"),
        (["globex"], "there is no integration globex; existing integrations: acme, odd, open, single"),
        (["globex.yaml"], "there is no mapping file globex.yaml"),
    ],
)
def test_a_table_or_method_that_the_mapping_lacks_is_refused(
    folder: Path, arguments: list[str], complaint: str
) -> None:
    write_mapping(folder, "open", mapping(IEM, auth="none"))
    write_mapping(folder, "single", mapping(IEM))
    write_mapping(folder, "odd", mapping(IEM, tables={"Änderung": {"states": {6: 6}}}))

    result = call_command(folder, *arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert complaint in str(result.exception)


@pytest.mark.parametrize(
    ("changes", "status", "complaint"),
    [
        ({"fields": {"number": "n[0]"}}, 1, "mappings/acme.yaml: `fields.number` is `n[0]`: a script cannot derive"),
        ({"source": "servicenov"}, 78, "mappings/acme.yaml:"),
        ({}, 0, ""),
    ],
)
def test_a_failure_is_a_sentence_and_an_exit_status(
    tmp_path: Path, changes: dict[str, Any], status: int, complaint: str
) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping(IEM, **changes))

    done = run_relay("servicenow", "acme", environ=base_environ(), folder=tmp_path)

    assert done.returncode == status
    assert done.stderr.startswith(complaint)
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (status == 0)


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_node_these_tests_are_skipped_but_fail_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="node is missing"):
        node()


def test_a_broken_mapping_file_is_reported_as_by_other_commands(folder: Path) -> None:
    (folder / "acme.yaml").write_text("source: servicenow\n", "utf-8")

    result = call_command(folder, "acme")

    assert result.stdout == ""
    assert str(result.exception).splitlines()[0] == f"{folder}/acme.yaml:1:1: missing key 'auth'"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sweep", "--hours", "0"],
        ["--sweep", "--hours", "721"],
        ["--hours", "2"],
        ["--sweep", "--when", "async"],
        ["--when", "before"],
        ["--url", "relay.example.com"],
        ["--url", "http://relay.example.com"],
        ["--url", "https://sn:pw@relay.example.com"],
        ["--auth", "oauth"],
    ],
)
def test_wrong_options_are_usage_errors(folder: Path, arguments: list[str]) -> None:
    result = call_command(folder, "acme", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")


def test_a_table_can_be_given_by_its_label(folder: Path) -> None:
    script = script_of(folder, "acme", "--table", "Change Request", "--sweep")

    assert settings_of(script)["table"] == "change_request"
    assert settings_of(script)["query"].startswith("stateIN3^")


@pytest.mark.parametrize(
    ("states", "query"),
    [
        ({6: 6, "Resolved": 6}, "stateIN6^sys"),
        ({"-5": 6, "06": 7}, "stateIN-5,6^sys"),
        ({6: 6, "Closed": 6}, "sys_updated"),  # Closed is not known to be 6
        ({6: 6, "Done": 6}, "sys_updated"),
        ({"Resolved": 6}, "sys_updated"),
    ],
)
def test_a_sweep_queries_by_number_if_all_labels_have_listed_numbers(
    folder: Path, states: dict[Any, int], query: str
) -> None:
    put(folder, states=states)

    assert settings_of(script_of(folder, "acme", "--sweep"))["query"].startswith(query)


def test_a_script_compares_states_as_the_relay_does(folder: Path) -> None:
    letters = [chr(code) for code in (*range(0xC0, 0x180), *range(0x370, 0x530), *range(0x1E00, 0x2000))]
    labels = {state_key(f"x{letter}"): f"X {letter}" for letter in letters if letter.isalpha()}
    put(folder, states=dict.fromkeys([*labels.values(), "-5", "6"], 6), auth="none")
    spellings = [spelling for label in labels.values() for spelling in (label, label.upper(), f" {label.lower()} ")]
    numbers = ["6", "06", "6.0", "6.", "+6", " 6 ", "-5", "-05.00"]
    other = ["5", "66", "6.5", "-6", "x", "", "null", "6a"]
    relayed = [spelling for spelling in spellings if state_key(spelling.strip()) in labels]
    records = [ticket(state=state(f"v{number}", label)) for number, label in enumerate(relayed)]
    records += [ticket(state=state(value)) for value in numbers + other]

    with service_answering(*[400] * 1000) as url:
        instance = Instance({"relay.acme.url": url}, tables={"incident": records})
        ran = instance.run(script_of(folder, "acme", "--sweep"))

    posted = [record["state"] for post in ran.posts for record in json.loads(post["body"])]
    assert [record for record in records[: len(relayed)] if record["state"] not in posted] == []
    assert len(posted) == len(relayed) + len(numbers)


def test_every_javascript_part_is_used(folder: Path) -> None:
    js = Path(__file__).parents[2] / "relay" / "servicenow" / "js"
    parts = {path.stem: path.read_text("utf-8").strip() for path in js.iterdir()}
    put(folder, auth=[*mapping(IEM)["auth"], HMAC, HEADER, WEBHOOKS])
    write_mapping(folder, "list", mapping(IEM, records="[*]"))
    write_mapping(folder, "alone", mapping(IEM, records="[@]"))
    wanted = [("acme", *options, "--auth", kind) for kind in KINDS for options in VARIANTS]
    scripts = [script_of(folder, *arguments) for arguments in (*wanted, ("list",), ("alone", "--sweep"))]

    def is_used(text: str) -> bool:
        lines = [line.strip() for line in text.splitlines() if line.strip() and "//= " not in line]
        return any(all(line in script for line in lines) for script in scripts)

    assert [name for name, text in parts.items() if not is_used(text)] == []


def test_the_mapping_can_be_an_inactive_file(folder: Path) -> None:
    (folder / "acme.yaml").rename(folder / "_draft.yaml")

    result = CliRunner().invoke(relay, ["servicenow", str(folder / "_draft.yaml")])

    assert result.exit_code == 0
    assert settings_of(result.stdout)["name"] == "draft"
