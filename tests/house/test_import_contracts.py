"""The import contracts of pyproject.toml can fail: forbidden imports are planted in a copy, and each one is reported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs.markdown import ROOT

#: Libraries that one package alone may import.
OWNERS = {
    "requests": "http",
    "urllib3": "http",
    "flask": "web",
    "werkzeug": "web",
    "gunicorn": "web",
    "redis": "store",
    "click": "cli",
}
IMPURE = ("os", "time", "random", "secrets", "socket", "threading", "pathlib", "subprocess", "sqlite3", "logging")
#: Imports against the direction, from each layer to the one above it, between siblings, and from the simulators.
UPWARDS = (
    ("relay.web.health", "relay.cli.main"),
    ("relay.operations.operations", "relay.web.health"),
    ("relay.operations.operations", "relay.worker.loop"),
    ("relay.web.health", "relay.doctor.finding"),
    ("relay.foundation", "relay.operations.operations"),
    ("relay.servicenow.tables", "relay.foundation"),
    ("relay.mapping_files.reloader", "relay.servicenow.tables"),
    ("relay.iem.service", "relay.virima.lookup"),
    ("relay.intake.journal", "relay.mapping_files.folder"),
    ("relay.store.delivery_queue", "relay.intake.journal"),
    ("relay.http.caller", "relay.store.delivery_queue"),
    ("relay.settings", "relay.http.caller"),
    ("relay.core.units", "relay.settings"),
    ("relay.errors", "relay.core.units"),
    ("relay.simulators.shape", "relay.core.units"),
)


def plant(folder: Path, module: str, imported: str) -> None:
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    path.write_text(f"{path.read_text('utf-8')}\nimport {imported}\n", "utf-8")


def packages() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "relay").glob("*/__init__.py"))


def some_module(package: str) -> str:
    """Return a module of `package`, the last by name."""
    path = max((ROOT / "relay" / package).glob("[a-z]*.py"))
    return f"relay.{package}.{path.stem}"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its contracts."""
    shutil.copytree(ROOT / "relay", tmp_path / "relay", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    """Run the contracts in `folder`; return the exit status and the report with its lines joined."""
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", script, "--no-cache"]
    done = subprocess.run(command, cwd=folder, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)
    return done.returncode, " ".join(done.stdout.split())


def test_only_one_package_can_import_a_library(copy: Path) -> None:
    planted = [(some_module(name), library) for name in packages() for library in OWNERS if OWNERS[library] != name]
    for module, library in planted:
        plant(copy, module, library)

    status, report = lint(copy)

    assert status == 1
    assert [pair for pair in planted if f"{pair[0]} -> {pair[1]} " not in report] == []


def test_impure_imports_are_refused_in_the_core(copy: Path) -> None:
    for library in IMPURE:
        plant(copy, "relay.core.units", library)

    status, report = lint(copy)

    assert status == 1
    assert [library for library in IMPURE if f"relay.core.units -> {library} " not in report] == []


def test_an_import_against_the_direction_is_refused(copy: Path) -> None:
    for module, imported in UPWARDS:
        plant(copy, module, imported)

    status, report = lint(copy)

    assert status == 1
    assert [pair for pair in UPWARDS if f"{pair[0]} -> {pair[1]} " not in report] == []


def test_a_new_module_at_the_top_needs_its_place_in_the_contract(copy: Path) -> None:
    (copy / "relay" / "helpers.py").write_text('"""Anything."""\n', "utf-8")

    status, report = lint(copy)

    assert status == 1
    assert "helpers" in report
