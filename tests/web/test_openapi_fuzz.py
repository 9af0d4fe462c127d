"""Valid and invalid requests generated from the OpenAPI document get answers that it describes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Relay, mapping, sys_id, write_mapping

from relay.store.connection import Connection

#: The mapping file, not the document, defines which payloads are mapped. A broken mapping file is 503, as documented.
_CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]

[[operations]]
include-name = "POST /webhooks/{name}"
checks.positive_data_acceptance.enabled = false
"""
_EXAMPLES = os.environ.get("RELAY_FUZZ_EXAMPLES", "10")


@pytest.fixture
def relay(tmp_path: Path, redis_url: str, redis: Connection) -> Iterator[Relay]:
    """A separate web process: it refuses too many requests to be shared."""
    relay = Relay(tmp_path, redis_url, {"RELAY_ADMIN_TOKEN": "operator-token-1"})
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9"))
    write_mapping(relay.mappings, "open", mapping("http://127.0.0.1:9", auth="none"))
    write_mapping(relay.mappings, "broken", {"source": "servicenow", "stats": {6: 6}})
    relay.start_web()
    yield relay
    relay.stop()


@pytest.mark.timeout(int(_EXAMPLES) * 6 + 60)
@pytest.mark.slow
def test_generated_requests_get_documented_answers(relay: Relay, tmp_path: Path) -> None:
    command = shutil.which("schemathesis", path=Path(sys.executable).parent)
    if command is None:
        if os.environ.get("CI"):
            pytest.fail("schemathesis is not installed: pip install '.[dev]'")
        pytest.skip("needs schemathesis: pip install '.[dev]'")
    (tmp_path / "schemathesis.toml").write_text(_CONFIG, "utf-8")
    for ticket in range(3):
        relay.post({"sys_id": sys_id(ticket), "state": "6"})
    relay.post({"state": "6"})

    run = subprocess.run(
        [command, "run", f"{relay.url}/openapi.json", "--header", "Authorization: Bearer operator-token-1",
         "--max-examples", _EXAMPLES, "--generation-deterministic", "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout[run.stdout.find("= FAILURES =") :][:8000] + run.stderr[-2000:]
    assert "internal error while answering a request" not in relay.processes[0].log
