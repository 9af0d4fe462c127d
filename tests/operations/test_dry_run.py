"""A dry run has the same result as the webhook, for any payload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import SYS_ID, mapping, write_mapping
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.core.mapping import map_payload
from relay.core.model import Ignored, Rejected, Update
from relay.errors import ConfigurationError
from relay.mapping_files.folder import MappingFile, read_mapping
from relay.operations.dry_run import DryRun

PAYLOADS = sorted(Path(__file__).parents[1].joinpath("payloads").glob("*.json"))
KINDS = {Update: "relayed", Ignored: "ignored", Rejected: "rejected"}
FIELDS = st.sampled_from(["sys_id", "state", "incident_state", "sys_mod_count", "sys_updated_on", "table", "result"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([SYS_ID, "6", "Closed", "7.0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=12,
)


@pytest.fixture
def file(tmp_path: Path) -> MappingFile:
    tables = {"problem": {"states": {"106": 6}}}
    return read_mapping(write_mapping(tmp_path, "acme", mapping("https://iem.example.com", tables=tables)))


def assert_same(file: MappingFile, payload: Any) -> None:
    """Assert that a dry run reports the same records and results as the mapping, in JSON."""
    assert file.integration
    mapped = map_payload(file.integration, payload)

    report = DryRun(file).try_payload(payload)

    assert [result["result"] for result in report["results"]] == [KINDS[type(expected)] for expected in mapped]
    for expected, result in zip(mapped, report["results"], strict=True):
        if isinstance(expected, Update):
            assert result["request"]["body"] == json.dumps(
                {"state": 6, "sysid": expected.ticket.sys_id}, separators=(",", ":")
            )
            assert result["matched"]["iem_state"] == expected.iem_state
    json.dumps(report, ensure_ascii=False).encode()


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_a_dry_run_of_a_known_payload_has_the_result_of_its_webhook(file: MappingFile, path: Path) -> None:
    assert_same(file, json.loads(path.read_text("utf-8-sig")))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES)
def test_a_dry_run_of_any_payload_has_the_result_of_its_webhook(file: MappingFile, payload: Any) -> None:
    assert_same(file, payload)


def test_a_long_value_is_truncated(file: MappingFile) -> None:
    report = DryRun(file).try_payload({"sys_id": {"a": "x" * 5_000}, "state": "6"})

    [path] = report["results"][0]["fields"][0]["paths"]
    assert len(path["found"]) == 401
    assert path["found"].endswith("…")


def test_a_mapping_with_faults_cannot_be_tried(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="missing key 'iem'"):
        DryRun(read_mapping(write_mapping(tmp_path, "acme", {"source": "servicenow", "auth": "none"})))
