"""Logs: a line is one JSON object, and no secret passes, whatever characters it has."""

from __future__ import annotations

import json
import logging

import pytest

from relay.core.redact import Redactor
from relay.logs import log, set_up_logs


@pytest.mark.parametrize("secret", ['quo"te\\back', "12345678", "relay", "päss wörd"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_in_a_field_a_message_or_a_traceback_is_blotted_out(
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

    said = capsys.readouterr().err
    assert "[redacted]" in said
    if form == "json":
        lines = [json.loads(line) for line in said.splitlines()]
        assert lines[0]["fault"] == "said [redacted]!"
        assert lines[0]["names"] == ["[redacted]", "x"]
        assert lines[0]["count"] == 12345678
        assert lines[0]["log.logger"] == "relay.worker"
        assert secret not in lines[1]["message"]
        assert f"about {secret}" not in lines[1]["error.stack_trace"]
    else:
        assert f"about {secret}" not in said
