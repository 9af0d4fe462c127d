"""The children of `relay up`: started in order, their lines told with their names, restarted when they die, stopped in order."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO

import click

#: A child that died is started again after this (seconds), twice as long each time that it did not live for a minute.
_RESTART_FIRST, _RESTART_MOST, _LIVED_WELL = 0.5, 10.0, 60.0
_COLOURS = {"redis": "magenta", "web": "cyan", "worker": "green", "demo": "yellow", "relay": "blue"}


def say(name: str, line: str) -> None:
    """Print a line of `name`'s."""
    click.echo(f"{click.style(f'{name:<6} │', fg=_COLOURS.get(name))} {line}")


@dataclass(slots=True)
class Child:
    """A process that is kept running."""

    name: str
    command: list[str]
    environ: Mapping[str, str]
    #: How long it may take to stop of its own accord (seconds).
    stop_patience: float
    #: An open file that the child holds too.
    inherits: IO[str] | None = None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_delay: float = field(default=_RESTART_FIRST)
    restart_at: float = 0.0
    teller: threading.Thread | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, in a process group of its own: Ctrl-C reaches the parent alone, which stops all in order."""
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
        self.teller = threading.Thread(target=self._tell, args=(self.process,), daemon=True)
        self.teller.start()
        return self.process

    def stop(self) -> None:
        """Stop it: asked first, made to when it does not."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self._end(self.process)
        if self.teller:
            self.teller.join(timeout=1)  # its last lines come before what is said next

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(self.stop_patience)
        except subprocess.TimeoutExpired:
            say("relay", f"{self.name} did not stop within {self.stop_patience:.0f} s and was killed")
            process.kill()
            process.wait()

    def _tell(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            say(self.name, line.decode("utf-8", "replace").rstrip())


class Supervisor:
    """Keeps children running until `stopping` is set."""

    def __init__(self, stopping: threading.Event) -> None:
        self.stopping = stopping
        self._children: list[Child] = []

    def start(self, child: Child) -> subprocess.Popen[bytes]:
        """Start a child and keep it running from now on."""
        self._children.append(child)
        return child.start()

    def wait_for(self, holds: Callable[[], bool], *, patience: float) -> bool:
        """Return True as soon as `holds`; False after `patience` seconds, when told to stop, or when a child ended."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and not self.stopping.is_set() and self.ended() is None:
            if holds():
                return True
            self.stopping.wait(0.05)
        return False

    def ended(self) -> Child | None:
        """Return a child that is not running, if there is one."""
        return next((child for child in self._children if child.process and child.process.poll() is not None), None)

    def keep(self) -> None:
        """Restart whatever dies, until told to stop."""
        while not self.stopping.wait(0.2):
            for child in self._children:
                if child.process is not None and child.process.poll() is not None:
                    self._mourn(child)
                elif child.process is None and time.monotonic() >= child.restart_at:
                    child.start()

    def _mourn(self, child: Child) -> None:
        assert child.process is not None
        now = time.monotonic()
        if now - child.started_at >= _LIVED_WELL:
            child.restart_delay = _RESTART_FIRST
        say(
            "relay",
            f"{child.name} ended with status {child.process.returncode}; started again in {child.restart_delay:g} s",
        )
        child.process = None
        child.restart_at = now + child.restart_delay
        child.restart_delay = min(_RESTART_MOST, child.restart_delay * 2)

    def stop(self) -> None:
        """Stop all children, the last one started first: who takes work in before who does it, Redis at the end."""
        for child in reversed(self._children):
            child.stop()
