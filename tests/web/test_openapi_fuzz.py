"""Requests made up from the OpenAPI document, good ones and bad ones: all are answered as the document says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Relay, sys_id

#: Which payloads are mapped the mapping file says, not the document. A broken one, which these tests have, is 503, as documented.
_CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]

[[operations]]
include-name = "POST /webhooks/{name}"
checks.positive_data_acceptance.enabled = false
"""
_EXAMPLES = os.environ.get("RELAY_FUZZ_EXAMPLES", "10")


@pytest.mark.timeout(int(_EXAMPLES) * 6 + 60)
def test_made_up_requests_are_answered_as_the_document_says(web: Relay, tmp_path: Path) -> None:
    command = shutil.which("schemathesis", path=Path(sys.executable).parent)
    if command is None:
        if os.environ.get("CI"):
            pytest.fail("schemathesis is not there: pip install '.[dev]'")
        pytest.skip("needs schemathesis: pip install '.[dev]'")
    (tmp_path / "schemathesis.toml").write_text(_CONFIG, "utf-8")
    for ticket in range(3):
        web.post({"sys_id": sys_id(ticket), "state": "6"}, name="open", auth=None)
    web.post({"state": "6"})

    run = subprocess.run(
        [command, "run", f"{web.url}/openapi.json", "--header", "Authorization: Bearer operator-token-1",
         "--max-examples", _EXAMPLES, "--generation-deterministic", "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout[run.stdout.find("= FAILURES =") :][:8000] + run.stderr[-2000:]
    assert "a bug in the answer to a request" not in web.processes[0].log
