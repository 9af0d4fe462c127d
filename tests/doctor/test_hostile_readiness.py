"""Another program can listen at the address of web: any answer leads to one line, or to the message that web does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hostile_answers import BODIES, answers
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from raw_server import RawServer

from relay.doctor.readiness import NoAnswerError, fetch_readiness, summarise_readiness
from relay.settings import load_settings

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["pass", "fail"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["status", "output", "checks"]), inner, max_size=3)
    ),
    max_leaves=6,
)
CONTENTS = st.dictionaries(st.sampled_from(["status", "checks"]), st.dictionaries(st.text(max_size=3), VALUES) | VALUES)


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with RawServer() as made:
        yield made


@settings(max_examples=examples(200), deadline=None)
@given(answers(BODIES | CONTENTS.map(lambda content: json.dumps(content).encode())))
def test_any_answer_is_summarised_or_refused(server: RawServer, sent: bytes) -> None:
    server.always(sent)
    bind = server.url.removeprefix("http://")

    try:
        status, content = fetch_readiness(load_settings({"RELAY_BIND": bind}), {})
    except NoAnswerError as error:
        message, beginning = str(error), f"web does not answer at {bind}: "
    else:
        message, beginning = summarise_readiness(content), str(content.get("status"))
        assert 100 <= status <= 999

    assert message.startswith(beginning)
