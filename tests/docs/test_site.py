"""The command that builds the site fails for a dead link, a missing anchor and a page outside the navigation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs.markdown import ROOT

FLAWS = {
    "a dead link": ("index.md", "\n[x](nowhere.md)\n", "'nowhere.md'"),
    "a missing anchor": ("index.md", "\n[x](runbook.md#nowhere)\n", "'#nowhere'"),
    "a page outside the navigation": ("stray.md", "# Stray\n", "stray.md"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the site is built from."""
    pytest.importorskip("mkdocs", reason="needs mkdocs: pip install '.[docs]'")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("mkdocs.yml", "Makefile"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_of_the_site_fails_make_docs(copy: Path, flaw: str) -> None:
    name, text, reported = FLAWS[flaw]
    with (copy / "docs" / name).open("a", encoding="utf-8") as page:
        page.write(text)

    command = ["make", "docs", f"PYTHON_BIN={Path(sys.executable).parent}"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert reported in done.stdout + done.stderr
