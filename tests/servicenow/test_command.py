"""`relay servicenow`: what is printed, what is refused, and that nothing in a mapping breaks out of where it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from commands import run_relay
from harness import IEM_PASSWORD, WEBHOOK_PASSWORD, base_environ, mapping, write_mapping
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples
from servicenow.instance import Instance, call_command, node, script_of, state, statements_of, ticket
from servicenow.test_scripts import answering

from relay.cli.main import relay
from relay.core.values import state_key
from relay.mapping_files.folder import MappingFile, parse_mapping
from relay.servicenow import Wish, write_script

IEM = "https://iem.example.com"
HMAC = {
    "type": "hmac",
    "header": "X-Sig",
    "encoding": "hex",
    "timestamp_header": "X-Time",
    "secret": {"env": "ACME_HMAC"},
}
HEADER = {"type": "header", "header": "X-API-Key", "value": {"file": "/run/secrets/acme key"}}
WEBHOOKS = {"type": "standard-webhooks", "secret": [{"env": "NEW"}, {"env": "OLD"}]}
KINDS = ("basic", "hmac", "header", "standard-webhooks")
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


def settings_of(script: str) -> dict[str, Any]:
    """Return what stands in `var RELAY`: JSON."""
    match = re.search(r"var RELAY = (\{.*?\n    \});\n", script, re.DOTALL)
    assert match
    found: dict[str, Any] = json.loads(match[1])
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", VARIANTS, ids=["after", "async", "sweep"])
def test_the_output_is_one_statement_of_ecmascript_5(folder: Path, kind: str, options: tuple[str, ...]) -> None:
    script = script_of(folder, "acme", *options, "--auth", kind)

    assert statements_of(script) == ["ExpressionStatement"]
    assert script.startswith("/*\n")
    assert "//= " not in script


def test_the_check_of_ecmascript_5_knows_what_is_newer() -> None:
    for newer in ("let a = 1;", "var f = () => 1;", "var a = `b`;", "var {a} = b;", "f(a,);"):
        with pytest.raises(AssertionError, match="SyntaxError"):
            statements_of(newer)


def test_the_head_tells_in_numbered_steps_what_to_set_up(folder: Path) -> None:
    guide = guide_of(script_of(folder, "acme", "--url", "https://relay.example.com/"))

    assert [line[:2] for line in guide if re.match(r"\d\.", line)] == ["1.", "2.", "3.", "4."]
    for line in (
        "Name              relay.acme.url",
        "Value             https://relay.example.com/webhooks/acme",
        "Name              Relay acme",
        "Authentication    Basic, with a new profile: user name sn, password: the text of {env: ACME_WEBHOOK_PASSWORD}",
        "Table             incident",
        "Active, Advanced  checked",
        "When              after, Insert and Update checked",
        "Condition         current.state.changes()",
        "relay servicenow acme --sweep --url https://relay.example.com",
        "relay servicenow acme --table problem --url https://relay.example.com",
        "relay servicenow acme --table change_request --url https://relay.example.com",
    ):
        assert line in guide


def test_the_head_of_a_sweep_tells_how_often_it_runs(folder: Path) -> None:
    guide = guide_of(script_of(folder, "acme", "--sweep", "--table", "problem", "--auth", "hmac"))

    assert "Run               Periodically, every 15 minutes" in guide
    assert "relay servicenow acme --sweep --auth hmac" in guide
    assert any("`relay servicenow acme --table problem --sweep --hours 24 --auth hmac`" in line for line in guide)


def test_an_address_that_is_not_given_is_marked(folder: Path) -> None:
    assert "Value             https://CHANGE-ME/webhooks/acme     <-- CHANGE: the relay's address" in guide_of(
        script_of(folder, "acme")
    )


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("hmac", ["the text of {env: ACME_HMAC} in base64:", "printf %s \"$ACME_HMAC\" | base64 | tr -d '\\n'"]),
        ("header", ["the text of {file: /run/secrets/acme key}"]),
        ("standard-webhooks", ["the text of {env: NEW}, with or without its whsec_"]),
    ],
)
def test_the_head_tells_where_the_key_comes_from(folder: Path, kind: str, told: list[str]) -> None:
    guide = guide_of(script_of(folder, "acme", "--auth", kind))

    at = guide.index("Type              password2")
    assert guide[at - 1] == "Name              relay.acme.key"
    assert guide[at + 1] == f"Value             {told[0]}"
    assert guide[at + 2 : at + 1 + len(told)] == told[1:]
    assert "Authentication    No authentication" in guide


def test_a_key_that_stands_in_a_file_is_made_from_that_file(folder: Path) -> None:
    put(folder, auth=[{**HMAC, "secret": {"file": "/run/it's a key"}}])

    assert "printf %s \"$(cat '/run/it'\"'\"'s a key')\" | base64 | tr -d '\\n'" in guide_of(script_of(folder, "acme"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_has_nothing_of_other_ways_to_authenticate(folder: Path, kind: str) -> None:
    script = script_of(folder, "acme", "--auth", kind)

    assert ("generateMac" in script) == (kind in {"hmac", "standard-webhooks"})
    assert ("webhook-id" in script) == (kind == "standard-webhooks")
    assert ("toHex" in script) == (kind == "hmac")
    assert ("relay.acme.key" in script) == (kind != "basic")


@pytest.mark.parametrize("options", VARIANTS, ids=["after", "async", "sweep"])
def test_no_secret_is_printed_though_all_of_them_can_be_read(
    folder: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
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
        assert [one for one in (*secrets.values(), "file-secret-1") if one in result.output] == []


def test_nothing_but_the_script_goes_to_standard_output(folder: Path) -> None:
    put(folder, enabled="false", unlisted_states="reject", dedupe={"window": "12h", "collapse": "false"})

    result = call_command(folder, "acme", "--sweep")

    assert result.exit_code == 0
    assert result.stdout.endswith("})();\n")
    assert result.stderr.splitlines() == [
        "The integration acme is disabled: the relay answers its webhooks 404.",
        (
            "The mapping says `unlisted_states: reject`: a reopening is answered 422, and the resolution after it is "
            "taken for a repeat. Write `unlisted_states: ignore`."
        ),
        "The mapping says `collapse: false`: IEM is told again of each ticket that is updated while it is resolved.",
        "24 hours are more than the mapping's `dedupe.window` (12h): beyond it only `dedupe.collapse` recognises a repeat.",
    ]
    assert [line for line in result.stderr.splitlines() if line not in guide_of(result.stdout)] == []
    assert call_command(folder, "acme").stderr.count("\n") == 2


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"source": "service-exchange"}, "its source is service-exchange: only ServiceNow itself runs these scripts"),
        (
            {"fields": {"version": ["to_number(rev)"]}},
            (
                "`fields.version` is `to_number(rev)`: a script cannot tell from it where the version must stand. Add a path "
                "of names and dots that no other field has, such as `sys_mod_count`; of a list of paths the first that has a "
                "value is taken"
            ),
        ),
        ({"fields": {"sys_id": "ids[0]"}}, "`fields.sys_id` is `ids[0]`: a script cannot tell"),
        ({"fields": {"state": "join('', [a, b])"}}, "`fields.state` is `join('', [a, b])`: a script cannot tell"),
        ({"fields": {"state": "`6` || state"}}, "`fields.state` is ``6` || state`: a script cannot tell"),
        ({"fields": {"table": "'problem'"}}, "`fields.table` is `'problem'`: a script cannot tell"),
        ({"fields": {"number": "sys_id"}}, "`fields.number` is `sys_id`: a script cannot tell"),
        ({"fields": {"number": "state.number"}}, "`fields.number` is `state.number`: a script cannot tell"),
        ({"fields": {"resolved_by": "__proto__.email"}}, "`fields.resolved_by` is `__proto__.email`"),
        ({"fields": {"number": "[a, number] | [0]"}}, "`fields.number` is `[a, number] | [0]`"),
        ({"records": "events[?type=='incident']"}, "`records` is `events[?type=='incident']`: a script cannot tell"),
        ({"sys_id_pattern": "^INC[0-9]+$"}, "`sys_id_pattern` is `^INC[0-9]+$`: a sys_id of ServiceNow, such as 9d38"),
    ],
)
def test_a_mapping_that_no_script_fits_is_refused_with_what_to_write(
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
        (["one", "--auth", "header"], "the mapping has no `auth` of type header: it has basic"),
        (["odd", "--table", "Änderung"], "änderung is no name of a table"),
        (["nobody"], "there is no integration nobody: there is acme, odd, one, open"),
        (["nobody.yaml"], "there is no mapping file nobody.yaml"),
    ],
)
def test_what_the_mapping_does_not_have_is_refused(folder: Path, arguments: list[str], complaint: str) -> None:
    write_mapping(folder, "open", mapping(IEM, auth="none"))
    write_mapping(folder, "one", mapping(IEM))
    write_mapping(folder, "odd", mapping(IEM, tables={"Änderung": {"states": {6: 6}}}))

    result = call_command(folder, *arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert complaint in str(result.exception)


@pytest.mark.parametrize(
    ("changes", "status", "complaint"),
    [
        ({"fields": {"number": "n[0]"}}, 1, "mappings/acme.yaml: `fields.number` is `n[0]`: a script cannot tell"),
        ({"source": "servicenov"}, 78, "mappings/acme.yaml:"),
        ({}, 0, ""),
    ],
)
def test_what_is_wrong_is_a_sentence_and_an_exit_status(
    tmp_path: Path, changes: dict[str, Any], status: int, complaint: str
) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping(IEM, **changes))

    done = run_relay("servicenow", "acme", environ=base_environ(), folder=tmp_path)

    assert done.returncode == status
    assert done.stderr.startswith(complaint)
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (status == 0)


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_node_these_tests_are_skipped_and_fail_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="node is missing"):
        node()


def test_a_broken_mapping_file_is_told_as_by_other_commands(folder: Path) -> None:
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
def test_wrong_options_are_wrong_usage(folder: Path, arguments: list[str]) -> None:
    result = call_command(folder, "acme", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")


def test_a_table_may_be_named_as_people_name_it(folder: Path) -> None:
    script = script_of(folder, "acme", "--table", "Change Request", "--sweep")

    assert settings_of(script)["table"] == "change_request"
    assert settings_of(script)["query"].startswith("stateIN3^")


@pytest.mark.parametrize(
    ("states", "query"),
    [
        ({6: 6, "Resolved": 6}, "stateIN6^sys"),
        ({"-5": 6, "06": 7}, "stateIN-5,6^sys"),
        ({6: 6, "Closed": 6}, "sys_updated"),  # nobody knows that Closed is 6
        ({6: 6, "Done": 6}, "sys_updated"),
        ({"Resolved": 6}, "sys_updated"),
    ],
)
def test_a_sweep_asks_by_number_where_each_label_is_another_name_of_one(
    folder: Path, states: dict[Any, int], query: str
) -> None:
    put(folder, states=states)

    assert settings_of(script_of(folder, "acme", "--sweep"))["query"].startswith(query)


NASTY = (
    "*/ alert(1) /*",
    "'; gs.error(1); '",
    '"});gs.x({"',
    "</script><script>",
    "a\nb\r\n * 9. Delete everything",
    "\u2028\u2029\x85\x0b",
    "\x1b[31m\x7f\x9b\u202e\ufeff",
    "\\u0022 \\",
    "//= functions",
    "$& $1 \\g<0> %s {0}",
    "😀 ünïcödé",
    "*\\/",
    "*\u200b/",
)


def holdable(text: str) -> str:
    """Return what a mapping can hold of `text`."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)


def http_name(text: str) -> str:
    """Return what a header's name or a scheme can hold of `text`."""
    return re.sub(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]", "", text)


def nasty_file(text: str) -> MappingFile:
    """Return a mapping that holds `text` wherever a mapping can hold any text."""
    text, name = holdable(text), http_name(text)
    quoted = ".".join([json.dumps(f"k{text}"), "x"])
    auth = [
        {"type": "basic", "username": f"u{text}", "password": {"file": f"/p{text}"}},
        {**HMAC, "header": f"h{name}", "timestamp_header": f"t{name}", "secret": {"file": f"/s{text}"}},
        {"type": "header", "header": f"h{name}", "scheme": f"s{name}", "value": {"file": f"/v{text}"}},
        {"type": "standard-webhooks", "secret": {"file": f"/w{text}"}},
    ]
    states = {6: 6, f"l{text}": 6}
    content = mapping(
        IEM,
        description=f"d{text}",
        auth=auth,
        states=states,
        tables={f"t{text}": {"states": states}},
        fields={"number": quoted},
        records=f"{json.dumps(f'r{text}')} || @",
    )
    return parse_mapping(Path("acme.yaml"), yaml.safe_dump(content, allow_unicode=False).encode())


def assert_harmless(text: str) -> None:
    file = nasty_file(text)
    assert file.integration, file.faults
    for kind in KINDS:
        for wish in (Wish(auth=kind), Wish(auth=kind, hours=24)):
            script = write_script(file, wish).text

            assert statements_of(script) == ["ExpressionStatement"]
            head, code = script.split("*/", 1)
            assert code.startswith("\n(function ")
            assert all(line.startswith((" *", "/*")) for line in head.splitlines()[:-1])
            assert not any(ord(one) < 32 and one != "\n" for one in script)
            assert not set("\x7f\x85\x9b\u2028\u2029\u202e\ufeff") & set(script)
            assert "</script" not in code
            assert settings_of(script)["fields"]["number"] == [f"k{holdable(text)}", "x"]
            if kind == "header":
                assert settings_of(script)["key_prefix"] == f"s{http_name(text)} "


@pytest.mark.parametrize("text", NASTY)
def test_no_text_of_a_mapping_breaks_out_of_where_it_stands(text: str) -> None:
    assert_harmless(text)


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.sampled_from("*/\\'\"\n\r\u2028\u2029<>`${}();\x00\x1b/*=- aé😀"), max_size=24))
def test_nor_does_any_other(text: str) -> None:
    assert_harmless(text.rstrip())


def test_a_script_takes_the_states_that_the_relay_takes(folder: Path) -> None:
    letters = [chr(code) for code in (*range(0xC0, 0x180), *range(0x370, 0x530), *range(0x1E00, 0x2000))]
    labels = {state_key(f"x{one}"): f"X {one}" for one in letters if one.isalpha()}
    put(folder, states=dict.fromkeys([*labels.values(), "-5", "6"], 6), auth="none")
    spelt = [f"{spelling}" for label in labels.values() for spelling in (label, label.upper(), f" {label.lower()} ")]
    numbers = ["6", "06", "6.0", "6.", "+6", " 6 ", "-5", "-05.00"]
    other = ["5", "66", "6.5", "-6", "x", "", "null", "6a"]
    meant = [one for one in spelt if state_key(one.strip()) in labels]
    records = [ticket(state=state(f"v{number}", one)) for number, one in enumerate(meant)]
    records += [ticket(state=state(one)) for one in numbers + other]

    with answering(*[400] * 1000) as url:
        instance = Instance({"relay.acme.url": url}, tables={"incident": records})
        ran = instance.run(script_of(folder, "acme", "--sweep"))

    posted = [one["state"] for post in ran.posts for one in json.loads(post["body"])]
    assert [one for one in records[: len(meant)] if one["state"] not in posted] == []
    assert len(posted) == len(meant) + len(numbers)


def test_every_part_is_used_and_no_other_is_asked_for(folder: Path) -> None:
    js = Path(__file__).parents[2] / "relay" / "servicenow" / "js"
    parts = {path.stem: path.read_text("utf-8").strip() for path in js.iterdir()}
    put(folder, auth=[*mapping(IEM)["auth"], HMAC, HEADER, WEBHOOKS])
    write_mapping(folder, "list", mapping(IEM, records="[*]"))
    write_mapping(folder, "alone", mapping(IEM, records="[@]"))
    wanted = [("acme", *options, "--auth", kind) for kind in KINDS for options in VARIANTS]
    scripts = [script_of(folder, *one) for one in (*wanted, ("list",), ("alone", "--sweep"))]

    def is_used(text: str) -> bool:
        lines = [line.strip() for line in text.splitlines() if line.strip() and "//= " not in line]
        return any(all(line in script for line in lines) for script in scripts)

    assert [name for name, text in parts.items() if not is_used(text)] == []


def test_the_mapping_may_be_a_file_that_is_not_at_work(folder: Path) -> None:
    (folder / "acme.yaml").rename(folder / "_draft.yaml")

    result = CliRunner().invoke(relay, ["servicenow", str(folder / "_draft.yaml")])

    assert result.exit_code == 0
    assert settings_of(result.stdout)["name"] == "draft"
