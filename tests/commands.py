"""Running `relay` commands: in the test's own process, or in a separate process if the test is about the process.

Starting Python takes longer than most commands. `tests/cli/test_processes.py` shows that both ways give the same result.
"""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest
from harness import ROOT

from relay.cli.main import main

Result = subprocess.CompletedProcess[str]


def run_relay(*arguments: str, environ: Mapping[str, str], folder: Path = ROOT, stdin: str = "") -> Result:
    """Run `relay` in this process, with its own environment, working folder and standard streams.

    An exception that the command does not report fails the test; in a separate process it is a traceback and the status 1.
    """
    stdin_stream = io.TextIOWrapper(_Input(stdin.encode()), "utf-8")
    stdout, stderr = io.BytesIO(), io.BytesIO()
    stdout_stream = io.TextIOWrapper(stdout, "utf-8", write_through=True)
    stderr_stream = io.TextIOWrapper(stderr, "utf-8", errors="backslashreplace", write_through=True)
    with (
        patch.dict(os.environ, environ, clear=True),
        patch.object(sys, "argv", ["relay", *map(str, arguments)]),
        patch.object(sys, "stdin", stdin_stream),
        redirect_stdout(stdout_stream),
        redirect_stderr(stderr_stream),
        chdir(folder),
        _own_logging(),
    ):
        status = _exit_status()
    return Result(["relay", *arguments], status, _text(stdout), _text(stderr))


def spawn_relay(*arguments: str, environ: Mapping[str, str], folder: Path = ROOT, stdin: str = "") -> Result:
    """Run `relay` in a separate process."""
    return subprocess.run(
        [sys.executable, "-m", "relay", *arguments],
        env=dict(environ),
        cwd=folder,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


class _Input(io.BytesIO):
    """Standard input, under its usual name."""

    name = "<stdin>"


def _exit_status() -> int:
    """Run the command line in `sys.argv`."""
    with pytest.raises(SystemExit) as ended:
        main()
    status = ended.value.code
    assert status is None or isinstance(status, int)
    return status or 0


def _text(output: io.BytesIO) -> str:
    """Return what was written, with the line ends of `subprocess`'s text mode."""
    return output.getvalue().decode().replace("\r\n", "\n").replace("\r", "\n")


@contextmanager
def _own_logging() -> Iterator[None]:
    """Let the command set up its logs, and undo that."""
    root = logging.getLogger()
    libraries = [logging.getLogger(name) for name in ("werkzeug", "urllib3")]
    levels = [(logger, logger.level) for logger in (root, *libraries)]
    options = {name: getattr(logging, name) for name in ("logThreads", "logMultiprocessing", "_srcfile")}
    with patch.object(root, "handlers", []), patch.multiple(logging, **options):
        try:
            yield
        finally:
            for logger, level in levels:
                logger.setLevel(level)
