"""The text of a new mapping file: valid for any answers, which are read back unchanged."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from relay.core.authentication import BasicAuth, HeaderAuth, HmacAuth
from relay.core.integration import SOURCES, Integration
from relay.core.references import Env, File, Plain
from relay.mapping_files.draft import QUESTIONS, Draft, env_name, quote, write_draft
from relay.mapping_files.parser import NAME, parse_mapping_file
from relay.mapping_files.reference_readers import is_env_name
from relay.mapping_files.sources import load_presets, load_template

NAMES = st.from_regex(NAME, fullmatch=True)
#: Any text in UTF-8, and texts that YAML would read as something else.
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1),
    st.sampled_from(
        ["0042", "no", "1e3", "a: b", "#x", "a #b", "null", "~", "'", '"', '\\"', "\\", "{{name}}", "{{iem_url}}", "*a"]
    ),
    st.sampled_from(
        ["- a", "? a", "!!int 6", "---", "[", "{a}", "%YAML", "&a", "<<", "2026-11-22", "12:30:45", "\ufeff"]
    ),
).filter(lambda text: bool(text.strip()))
FOLDERS = st.just("") | TEXTS.map(lambda text: f"/{text}")


def draft(**changes: str) -> Draft:
    answers: dict[str, Any] = {
        "name": "acme",
        "source": "servicenow",
        "customer_id": "ACME",
        "integration_id": "42",
        "iem_url": "https://iem.example.com",
        "iem_username": "relay-api@example.com",
    }
    return Draft(**{**answers, **changes})


def read_back(draft: Draft) -> Integration:
    parsed = parse_mapping_file(draft.name, write_draft(draft, load_template), load_presets())
    assert parsed.faults == ()
    assert parsed.warnings == ()
    assert parsed.integration
    return parsed.integration


@given(TEXTS)
@example("\x85\u2028\u2029\x00\x7f\U0001f600\ufffe")
@example(" padded ")
@example("x " * 200)
def test_a_quoted_text_is_one_line_that_yaml_reads_back(text: str) -> None:
    written = quote(text)

    assert len(written.splitlines()) == 1
    assert yaml.safe_load(f"a: {written}  # remark") == {"a": text}
    assert yaml.safe_load(f"a: {{b: {written}}}") == {"a": {"b": text}}


@given(
    name=NAMES,
    source=st.sampled_from(SOURCES),
    auth=st.sampled_from(["basic", "hmac", "header"]),
    texts=st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS),
    secrets_from=FOLDERS,
)
def test_a_written_file_is_valid_and_contains_the_answers(
    name: str, source: str, auth: str, texts: tuple[str, str, str, str, str], secrets_from: str
) -> None:
    customer_id, integration_id, iem_username, description, virima_username = texts

    integration = read_back(
        draft(
            name=name,
            source=source,
            auth=auth,
            description=description,
            customer_id=customer_id,
            integration_id=integration_id,
            iem_username=iem_username,
            virima_url="https://virima.example.com/www_em/",
            virima_username=virima_username,
            secrets_from=secrets_from,
        )
    )

    assert (integration.name, integration.source, integration.description) == (name, source, description)
    assert (integration.iem.customer_id, integration.iem.integration_id) == (customer_id, integration_id)
    assert (integration.iem.url, integration.iem.username) == (Plain("https://iem.example.com"), Plain(iem_username))
    assert integration.virima
    assert (integration.virima.url, integration.virima.username) == (
        Plain("https://virima.example.com/www_em/"),
        Plain(virima_username),
    )
    folder = secrets_from.rstrip("/")
    expected = File(f"{folder}/{name}-iem-password") if secrets_from else Env(env_name(name, "iem-password"))
    assert integration.iem.password == expected


@pytest.mark.parametrize("source", SOURCES)
def test_a_written_file_has_passing_tests_and_the_paths_of_its_source(source: str) -> None:
    integration = read_back(draft(source=source))

    presets = parse_mapping_file("acme", _shortest(source), load_presets()).integration
    assert presets
    assert [
        bool(test.expect.state) + bool(test.expect.ignored) * 2 + bool(test.expect.rejected) * 4
        for test in integration.tests
    ] == [1, 2, 4]
    assert (integration.records, integration.fields, integration.states) == (
        presets.records,
        presets.fields,
        presets.states,
    )
    assert integration.sys_id_pattern == presets.sys_id_pattern


def test_a_service_exchange_file_has_no_numeric_states() -> None:
    text = write_draft(draft(source="service-exchange"), load_template)

    assert not any(key.isdigit() for key in read_back(draft(source="service-exchange")).states)
    assert "field mapping sheet" in text
    assert "only your sheet says what a number means" in text
    for key in ("records", "fields", "sys_id_pattern", "states", "tests"):
        assert "# CHANGE" in next(line for line in text.splitlines() if line.startswith(f"{key}:"))


def test_each_authentication_method_has_a_reference_to_its_secret() -> None:
    methods = {auth: read_back(draft(name="a-b", auth=auth)).authentications for auth in ("basic", "hmac", "header")}

    assert methods["basic"] == (BasicAuth("servicenow", Env("A_B_WEBHOOK_PASSWORD")),)
    assert methods["hmac"] == (
        HmacAuth(header="X-Relay-Signature", algorithm="sha256", encoding="any", secrets=(Env("A_B_WEBHOOK_KEY"),)),
    )
    assert methods["header"] == (HeaderAuth("X-API-Key", Env("A_B_WEBHOOK_KEY")),)


def test_virima_is_left_out_and_the_name_is_the_default_description() -> None:
    integration = read_back(draft())

    assert integration.virima is None
    assert integration.description == "acme"


def test_the_default_lookup_does_not_impersonate_users() -> None:
    integration = read_back(draft(virima_url="https://virima.example.com", virima_username="a"))

    assert integration.virima
    assert integration.virima.lookup == "session"


@given(NAMES)
def test_every_integration_name_yields_a_valid_variable(name: str) -> None:
    assert is_env_name(env_name(name, "iem-password"))


@given(NAMES, NAMES)
def test_two_integrations_never_share_a_variable(first: str, second: str) -> None:
    kinds = ("webhook-password", "webhook-key", "iem-password", "virima-password")
    shared = {env_name(first, kind) for kind in kinds} & {env_name(second, kind) for kind in kinds}

    assert bool(shared) == (first == second)


def test_every_field_of_a_draft_has_a_question() -> None:
    assert {question.field for question in QUESTIONS} == set(Draft.__dataclass_fields__)


@pytest.mark.parametrize(
    ("field", "answer", "problem"),
    [
        ("name", "Acme_Prod", "'Acme_Prod' is not a valid integration name: use at most 63 of the characters a-z"),
        ("source", "servicnow", "did you mean 'servicenow'?"),
        ("auth", "standard-webhooks", "expected one of basic, hmac, header"),
        ("iem_url", "http://iem.example.com", "http would send credentials unencrypted"),
        ("iem_url", "iem.example.com", "expected a URL such as https://iem.example.com"),
        ("iem_url", "https://u:p@iem.example.com", "a base URL must not contain a user, query or fragment"),
        ("virima_url", "http://virima.example.com", "http would send credentials unencrypted"),
        ("customer_id", "  ", "expected text, found only spaces"),
        ("secrets_from", "secrets", "expected the absolute path of a folder"),
    ],
)
def test_a_wrong_answer_has_the_message_of_a_mapping_file(field: str, answer: str, problem: str) -> None:
    question = next(candidate for candidate in QUESTIONS if candidate.field == field)

    assert problem in (question.check(answer) or "")


@pytest.mark.parametrize(
    ("field", "answer"), [("iem_url", "http://127.0.0.1:9000"), ("virima_url", "none"), ("customer_id", "0")]
)
def test_a_valid_answer_is_accepted(field: str, answer: str) -> None:
    assert next(candidate for candidate in QUESTIONS if candidate.field == field).check(answer) is None


def _shortest(source: str) -> str:
    iem = "{url: https://iem.example.com, customer_id: A, integration_id: 4, username: a, password: {env: A}}"
    return f"source: {source}\nauth: none\niem: {iem}\n"
