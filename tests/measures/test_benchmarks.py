"""`python -m benchmarks` runs, and its stored results are complete."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from harness import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.alone]

INTAKE = ["Intake, `appendfsync always`", "Intake, `appendfsync everysec`"]


def test_the_intake_sections_are_measured() -> None:
    command = [sys.executable, "-m", "benchmarks", "intake", "--runs", "1", "--seconds", "0.2"]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)

    assert result.returncode == 0, result.stderr
    assert re.findall(r"^## (.*)$", result.stdout, re.MULTILINE) == INTAKE
    ratio = re.search(r"\| webhooks a second at saturation \| ([\d,]+) /s \| ([\d,]+) /s \| (\S+) ", result.stdout)
    assert ratio is not None
    ours, theirs = (int(ratio[number].replace(",", "")) for number in (1, 2))
    assert abs(ours / theirs - float(ratio[3])) < 0.01


def test_the_stored_results_have_every_section() -> None:
    kept = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")

    assert re.findall(r"^## (.*)$", kept, re.MULTILINE) == [*INTAKE, "Delivery", "Growth", "Start"]
    assert "intake with 1,000,000 pending" in kept
