"""No message, excerpt or key quotes a plain secret, whatever else is wrong with the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from properties import examples

from relay.cli.mappings import _as_json
from relay.core.redact import Redactor
from relay.mapping_files.checker import inspect
from relay.mapping_files.excerpt import excerpt
from relay.mapping_files.folder import parse_mapping
from relay.secrets import SecretReader

#: Differs from everything else in the file, but has parts that resemble known keys.
SECRET = "Zq9Secret7"
FILE = """\
source: servicenow
auth:
  - type: basic
    username: servicenow
    password: SECRET
  - type: hmac
    header: X-Relay-Signature
    secret: [SECRET, {env: ACME_OLD}]
  - {type: header, header: X-API-Key, value: SECRET}
iem:
  url: https://iem.example.com
  customer_id: ACME
  integration_id: "42"
  username: relay@example.com
  password: SECRET
  timeout: 10s
  max_in_flight: 8
virima:
  url: https://v.example.com
  username: u
  password: SECRET
  lookup: session
fields:
  state: [state, incident_state]
states:
  6: 6
description: "of people"
"""
#: The ways to write a secret, which is `S` here. `⏎` begins a new line; ⇥ is a tab, ␇ a control character.
FORMS = (
    r"""
S¦"S"¦'S'¦{S}¦{value: S}¦{env: "S x"}¦{env: "S!"}¦[S]¦>-⏎a⏎S¦"a⏎S"¦S: x¦:S: x¦"S¦'S¦{env: A} S¦
{env: A} # S¦!S¦!<S>¦&S x¦&S¦*S¦%S¦@S¦? S¦- S¦{env: A, S: b}¦⇥S¦S #x¦S⏎S¦{plain: S}¦{env: {S: 1}}¦
{env: [S]}¦xS␇¦{file: [S]}¦{? S : 1}¦!S!b x¦"\xS"¦"\uS"¦"S\q"¦{env: A, env: S}¦"a" S¦!!S x¦
!!binary S¦{S: S, S: 1}¦⏎S¦⏎- S⏎- S¦⏎S: S¦⏎S: S⏎S: 2¦{S: 1, S: 2, a}¦a\S¦S, S¦S: S: S¦[S, S: {S¦
{{S}}¦`S`¦{$env: S}¦"S\ud800"¦https://a:S@b¦https://S:S¦"S": "S"¦S:¦*S S¦!S &S S¦&S !S¦&S {S: 1}¦
!S {S: 1}¦!S [S]¦{evn: S}
""".replace("\n", "")
    .replace("⏎", "\n      ")
    .replace("⇥", "\t")
    .replace("␇", "\x07")
    .split("¦")
)
#: Mistakes anywhere else: a text, and its replacement.
SLIPS = [
    (": ", ":"),
    (": ", " "),
    (":\n", "\n"),
    ("\n", ""),
    ("\n", " "),
    ("    ", "   "),
    ("    ", "     "),
    ("  ", ""),
    ("  ", "\t"),
    ("- ", "-"),
    ('"', ""),
    ("type: basic", "type: SECRET"),
    ("password", "passwrd"),
    ("password: ", "password "),
    ("password: ", "password:"),
    ("    password: ", "    password:\n    "),
    ("  password: ", "  password\n    : "),
    ("username: ", 'username: "'),
    ("url: ", "url: {"),
    ("https://", "https://SECRET@"),
    ("timeout: 10s", "timeout: SECRET"),
    ("max_in_flight: 8", "max_in_flight: SECRET"),
    ("lookup: session", "lookup: SECRET"),
    ("customer_id: ACME", "SECRET: ACME"),
    ("header: X", "header: SECRET X"),
    ("}", ""),
    ("[", ""),
    ("iem", "imm"),
    ("virima:", "virima"),
    ("auth:", "auth: {"),
]


def output_for(text: str) -> str:
    """Return everything that the relay prints about a file: messages, excerpts, JSON."""
    file = parse_mapping(Path("acme.yaml"), text.encode())
    (checked,) = inspect([file], SecretReader({}, Redactor()))
    output = [*checked.formatted_faults(), json.dumps(_as_json(checked))]
    assert file.document
    output += [
        shown.line
        for fault in (*checked.faults, *checked.warnings)
        if (shown := excerpt(file.document, fault.position))
    ]
    return "\n".join(output)


def write(forms: list[str]) -> str:
    """Return FILE with its secrets written in `forms`, in order."""
    parts = FILE.split("SECRET")
    written = [form.replace("S", SECRET) if "S" in form else form for form in forms]
    return "".join(part + form for part, form in zip(parts, [*written, ""], strict=True))


def assert_not_quoted(text: str) -> None:
    """The output contains no four adjacent characters of the secret that occur nowhere else in the file."""
    output = output_for(text)
    for scrap in ("Zq9", "q9Se", "9Sec", "ret7"):
        assert scrap not in output, output


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("which", range(5))
def test_a_plain_secret_is_not_quoted(form: str, which: int) -> None:
    forms = ["{env: A}"] * 5
    forms[which] = form

    assert_not_quoted(write(forms))


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(st.sampled_from(FORMS), min_size=5, max_size=5),
    st.lists(st.tuples(st.sampled_from(SLIPS), st.integers(0, 40)), max_size=3),
)
@example(["{plain: S}", "{env: A, env: S}", "{env: A, env: S}", "S", "S"], [((": ", ":"), 14)])
@example(["{env: A}"] * 4 + ["S"], [(("password: ", "password "), 2)])
def test_no_secret_is_quoted_in_a_file_with_other_mistakes(
    forms: list[str], slips: list[tuple[tuple[str, str], int]]
) -> None:
    text = write(forms)
    for (wrong, slip), where in slips:
        parts = text.split(wrong)
        at = 1 + where % (len(parts) - 1) if len(parts) > 1 else len(parts)
        text = wrong.join(parts[:at]) + (slip.replace("SECRET", SECRET) + wrong.join(parts[at:]) if parts[at:] else "")

    assert_not_quoted(text)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(st.sampled_from(FORMS), min_size=5, max_size=5),
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 3), st.text(' \n:-{}[]"&*!#a6', max_size=3)), max_size=3),
)
@example(["{$env: S}", "{S: 1, S: 2, a}", "S", "S", "S"], [(172, 3, "")])
@example(["{S: S, S: 1}", "S", "S", "S", "S"], [(104, 3, "")])
def test_no_secret_is_quoted_after_any_edits(forms: list[str], edits: list[tuple[int, int, str]]) -> None:
    text = write(forms)
    for where, gone, typed in edits:
        text = text[:where] + typed + text[where + gone :]

    assert_not_quoted(text)
