"""No text in a mapping ends the JavaScript literal or the comment that contains it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from harness import mapping
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples
from servicenow.instance import settings_of, statements_of
from servicenow.integrations import HMAC, IEM, KINDS

from relay.mapping_files.folder import MappingFile, parse_mapping
from relay.servicenow import ScriptOptions, write_script

HOSTILE_TEXTS = (
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


def allowed_text(text: str) -> str:
    """Return `text` without the characters that a mapping file cannot contain."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)


def http_name(text: str) -> str:
    """Return `text` without the characters that the name of a header or a scheme cannot contain."""
    return re.sub(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]", "", text)


def mapping_file_with(text: str) -> MappingFile:
    """Return a mapping with `text` in every place that accepts any text."""
    text, name = allowed_text(text), http_name(text)
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
    file = mapping_file_with(text)
    assert file.integration, file.faults
    for kind in KINDS:
        for options in (ScriptOptions(auth=kind), ScriptOptions(auth=kind, hours=24)):
            script = write_script(file, options).text

            assert statements_of(script) == ["ExpressionStatement"]
            head, code = script.split("*/", 1)
            assert code.startswith("\n(function ")
            assert all(line.startswith((" *", "/*")) for line in head.splitlines()[:-1])
            assert not any(ord(character) < 32 and character != "\n" for character in script)
            assert not set("\x7f\x85\x9b\u2028\u2029\u202e\ufeff") & set(script)
            assert "</script" not in code
            assert settings_of(script)["fields"]["number"] == [f"k{allowed_text(text)}", "x"]
            if kind == "header":
                assert settings_of(script)["key_prefix"] == f"s{http_name(text)} "


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_no_hostile_text_ends_its_literal_or_comment(text: str) -> None:
    assert_harmless(text)


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.sampled_from("*/\\'\"\n\r\u2028\u2029<>`${}();\x00\x1b/*=- aé😀"), max_size=24))
def test_no_generated_text_ends_its_literal_or_comment(text: str) -> None:
    assert_harmless(text.rstrip())
