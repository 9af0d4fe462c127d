"""The child processes of `relay up`: started in order, printed with their names, restarted when they die, stopped in order."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO

import click

#: Delay before a child that died is restarted (seconds). It doubles up to the maximum, unless the child lived for long enough.
_FIRST_RESTART_DELAY, _MAX_RESTART_DELAY, _STABLE_AFTER = 0.5, 10.0, 60.0
_COLOURS = {"redis": "magenta", "web": "cyan", "worker": "green", "demo": "yellow", "relay": "blue"}


def say(name: str, line: str) -> None:
    """Print a line with the name of its process."""
    click.echo(f"{click.style(f'{name:<6} │', fg=_COLOURS.get(name))} {line}")


@dataclass(slots=True)
class Child:
    """A process that the supervisor keeps running."""

    name: str
    command: list[str]
    environ: Mapping[str, str]
    #: How long it can take to stop after SIGTERM (seconds).
    stop_timeout: float
    #: An open file that the child inherits.
    inherits: IO[str] | None = None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_delay: float = field(default=_FIRST_RESTART_DELAY)
    restart_at: float = 0.0
    printer: threading.Thread | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in its own process group: Ctrl-C reaches only the parent, which stops all children in order."""
        self.process = subprocess.Popen(  # noqa: S603 - our own commands
            [sys.executable, "-m", "relay.cli.parent_watchdog", *self.command],
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(self.inherits.fileno(),) if self.inherits else (),
        )
        self.started_at = time.monotonic()
        self.printer = threading.Thread(target=self._print_output, args=(self.process,), daemon=True)
        self.printer.start()
        return self.process

    def stop(self) -> None:
        """Stop it by SIGTERM, and by SIGKILL when it does not stop in time."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self._end(self.process)
        if self.printer:
            self.printer.join(timeout=1)  # so that its last lines precede those of the next child

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(self.stop_timeout)
        except subprocess.TimeoutExpired:
            say("relay", f"{self.name} did not stop within {self.stop_timeout:.0f} s and was killed")
            process.kill()
            process.wait()

    def _print_output(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            say(self.name, line.decode("utf-8", "replace").rstrip())


class Supervisor:
    """Keeps children running until `stopping` is set."""

    def __init__(self, stopping: threading.Event) -> None:
        self.stopping = stopping
        self._children: list[Child] = []

    def start(self, child: Child) -> subprocess.Popen[bytes]:
        """Start a child, and keep it running from now on."""
        self._children.append(child)
        return child.start()

    def wait_for(self, condition: Callable[[], bool], *, timeout: float) -> bool:
        """Return True when `condition` is met; False after `timeout` seconds, on a stop signal, or when a child has ended."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and not self.stopping.is_set() and self.ended() is None:
            if condition():
                return True
            self.stopping.wait(0.05)
        return False

    def ended(self) -> Child | None:
        """Return a child that is not running, if there is one."""
        return next((child for child in self._children if child.process and child.process.poll() is not None), None)

    def run(self) -> None:
        """Restart each child that ends, until `stopping` is set."""
        while not self.stopping.wait(0.2):
            for child in self._children:
                if child.process is not None and child.process.poll() is not None:
                    self._schedule_restart(child)
                elif child.process is None and time.monotonic() >= child.restart_at:
                    child.start()

    def _schedule_restart(self, child: Child) -> None:
        assert child.process is not None
        now = time.monotonic()
        if now - child.started_at >= _STABLE_AFTER:
            child.restart_delay = _FIRST_RESTART_DELAY
        say(
            "relay",
            f"{child.name} ended with status {child.process.returncode}; restarting it in {child.restart_delay:g} s",
        )
        child.process = None
        child.restart_at = now + child.restart_delay
        child.restart_delay = min(_MAX_RESTART_DELAY, child.restart_delay * 2)

    def stop(self) -> None:
        """Stop all children, the last started first: web before the worker, Redis at the end."""
        for child in reversed(self._children):
            child.stop()
