"""Logs: a line is one JSON object, and secrets are redacted, whatever characters they contain."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.core.redact import Redactor
from relay.logs import log, set_up_logs


@pytest.mark.parametrize("secret", ['quo"te\\back', "12345678", "relay", "päss wörd"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_in_a_field_a_message_or_a_traceback_is_redacted(
    secret: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    redactor = Redactor()
    redactor.add(secret)
    set_up_logs(form=form, level="INFO", redactor=redactor)
    logger = logging.getLogger("relay.worker")

    log(logger, logging.INFO, "attempt", fault=f"said {secret}!", names=[secret, "x"], count=12345678)
    try:
        raise ValueError(f"about {secret}")
    except ValueError:
        logger.exception("failed with %s", secret)

    output = capsys.readouterr().err
    assert "[redacted]" in output
    if form == "json":
        lines = [json.loads(line) for line in output.splitlines()]
        assert lines[0]["fault"] == "said [redacted]!"
        assert lines[0]["names"] == ["[redacted]", "x"]
        assert lines[0]["count"] == 12345678
        assert lines[0]["log.logger"] == "relay.worker"
        assert secret not in lines[1]["message"]
        assert f"about {secret}" not in lines[1]["error.stack_trace"]
    else:
        assert f"about {secret}" not in output


HOSTILE = st.text(
    st.sampled_from('ab ="\\{}%\n\r\t\x00\x07\x1b[2J\x7f\x85\x9b\u2028\u2029\u202e\u200b\ud800\ufeffé'), max_size=20
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(HOSTILE, min_size=1, max_size=3), st.sampled_from(["json", "text"]))
def test_hostile_text_stays_one_line_without_control_characters(
    capsys: pytest.CaptureFixture[str], texts: list[str], form: str
) -> None:
    set_up_logs(form=form, level="INFO", redactor=Redactor())

    log(logging.getLogger("relay.web"), logging.INFO, "request", path=texts[0], query_names=texts)

    output = capsys.readouterr().err
    assert output.endswith("\n")
    assert len(output[:-1].splitlines()) == 1
    assert not set(output[:-1]) & set("\r\x00\x07\x1b\x7f\x85\x9b\u2028\u2029")
    if form == "json":
        line = json.loads(output)
        assert (line["path"], line["query_names"]) == (texts[0], texts)
