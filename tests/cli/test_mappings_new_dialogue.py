"""`relay mappings new` on a terminal: it asks questions and explains wrong answers."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli.new_mapping_options import environ_of, names_in, options

from relay.core.references import Plain
from relay.mapping_files.folder import read_mapping


class Terminal:
    """A pseudo-terminal with the command at its other end."""

    def __init__(self, master: int, process: subprocess.Popen[str]) -> None:
        self._master = master
        self.process = process
        self.shown = ""

    def expect(self, text: str, *, patience: float = 30) -> None:
        """Read until the screen shows `text`, and forget everything up to it."""
        deadline = time.monotonic() + patience
        while text not in self.shown:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the screen does not show {text!r} but {self.shown!r}"
            self.shown += os.read(self._master, 4096).decode()
        self.shown = self.shown.partition(text)[2]

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._master, text.encode())


@contextmanager
def terminal(folder: Path, *arguments: str) -> Iterator[Terminal]:
    """Run the command on a terminal; its stdout is a pipe."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "relay", "mappings", "new", *arguments],
        cwd=folder,
        env=environ_of(),
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        encoding="utf-8",
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.communicate()
        os.close(master)


def test_a_wrong_answer_is_explained_and_asked_for_again(folder: Path) -> None:
    with terminal(folder) as screen:
        screen.expect("Name of the integration, such as acme-prod")
        screen.type("Acme Prod\n")
        screen.expect("'Acme Prod' is not a valid integration name: use at most 63 of the characters")
        screen.expect("Name of the integration")
        screen.type("acme-prod\n")
        screen.expect("ITSM tool that sends the webhooks: servicenow or service-exchange: ")
        screen.type("service now\n")
        screen.expect("did you mean 'servicenow'?")
        screen.expect("ITSM tool that sends")
        screen.type("  servicenow \n")
        screen.expect("[basic]: ")
        screen.type("\n")
        screen.expect("Description, for people")
        screen.type("ACME: Prod #1\n")
        screen.expect("URL of your organisation's Hosted_API of IEM: ")
        screen.type("http://iem.example.com\n")
        screen.expect("http would send credentials unencrypted")
        screen.type("https://iem.example.com\n")
        screen.expect("Customer id in IEM, such as ACME: ")
        screen.type("\n")
        screen.expect("expected text, found nothing")
        screen.type("0042\n")
        screen.expect("Integration id in IEM, such as 42: ")
        screen.type("1e3\x1b[D\n")
        screen.expect("contains an invisible character (U+001B): type it again without this character")
        screen.type("1e3\n")
        screen.expect("API user in IEM")
        screen.type("relay-api@example.com\n")
        screen.expect("or none [none]: ")
        screen.type("https://virima.example.com\n")
        screen.expect("Service account in Virima: ")
        screen.type("relay@example.com\n")
        stdout, _ = screen.process.communicate(timeout=30)

    integration = read_mapping(folder / "mappings" / "acme-prod.yaml").integration
    assert screen.process.returncode == 0
    assert stdout.startswith("mappings/acme-prod.yaml: written (servicenow → IEM 0042/1e3, 3 tests passed)\n")
    assert integration
    assert (integration.iem.customer_id, integration.iem.integration_id, integration.description) == (
        "0042",
        "1e3",
        "ACME: Prod #1",
    )
    assert integration.virima


def test_answers_given_as_options_are_not_asked_for(folder: Path) -> None:
    with terminal(folder, "acme-prod", *options(integration_id=None), "--auth", "hmac", "--output", "-") as screen:
        screen.expect("Description")
        screen.type("\n")
        screen.expect("Integration id")
        assert "Customer id" not in screen.shown
        screen.type("42\n")
        screen.expect("[none]: ")
        screen.type("none\n")
        text, _ = screen.process.communicate(timeout=30)

    assert screen.process.returncode == 0
    assert text.startswith("# acme-prod: ")
    assert text.endswith("expect: {rejected: sys_id}\n")


def test_an_option_can_depend_on_a_later_answer(folder: Path) -> None:
    given = ("--virima-username", "relay@example.com", "--description", "ACME")
    with terminal(folder, "acme-prod", *options(), "--auth", "basic", *given) as screen:
        screen.expect("URL of Virima")
        screen.type("https://virima.example.com\n")
        screen.process.communicate(timeout=30)

    integration = read_mapping(folder / "mappings" / "acme-prod.yaml").integration
    assert integration
    assert integration.virima
    assert integration.virima.username == Plain("relay@example.com")


def test_a_wrong_option_is_reported_before_the_first_question(folder: Path) -> None:
    with terminal(folder, "acme-prod", "--source", "jira", "--auth", "magic") as screen:
        screen.expect("--source: expected one of servicenow, service-exchange")
        screen.expect("--auth: 'magic' is not one of basic, hmac, header")
        assert screen.process.wait(30) == 2


def test_an_existing_name_is_reported_before_other_questions(folder: Path) -> None:
    (folder / "mappings" / "acme-prod.yaml").write_text("mine", "utf-8")

    with terminal(folder) as screen:
        screen.expect("Name of the integration")
        screen.type("acme-prod\n")
        screen.expect("mappings/acme-prod.yaml already exists")

        assert screen.process.wait(30) == 1


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_an_aborted_dialogue_writes_nothing(folder: Path, key: str) -> None:
    with terminal(folder, "acme-prod") as screen:
        screen.expect("ITSM tool that sends")
        if key == "\x03":
            screen.process.send_signal(signal.SIGINT)  # as the terminal does if it controls the session
        else:
            screen.type(key)
        screen.expect("Aborted!")

        assert screen.process.wait(30) == 1
    assert names_in(folder) == []
