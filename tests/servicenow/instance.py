"""A simulated ServiceNow instance, which runs scripts with `instance.js` in Node, and the command that writes the scripts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from harness import SYS_ID
from raw_server import RawServer, answer

from relay.cli.main import relay

_INSTANCE = Path(__file__).with_name("instance.js")


def node() -> str:
    """Return the path of Node. Without Node the test is skipped; in CI it fails."""
    found = shutil.which("node")
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail("node is missing: the tests run scripts for ServiceNow in it")
    pytest.skip("node is missing")


class NodeProcess:
    """One Node for all tests of this process: a start takes longer than a script."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Send `instance.js` a request, and return its answer."""
        if self._process is None or self._process.poll() is not None:
            command = [node(), "--expose-internals", str(_INSTANCE)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", bufsize=1
            )
        process = self._process
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{json.dumps(request)}\n")
        line = process.stdout.readline()
        assert line, f"Node ended with exit status {process.wait()}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer

    def stop(self) -> None:
        """End Node, which ends with its standard input."""
        if self._process:
            self._process.communicate()


NODE = NodeProcess()


def statements_of(script: str) -> list[str]:
    """Return the kinds of a script's statements; fails if it is not ECMAScript 5."""
    statements: list[str] = NODE.ask({"parse": script})["statements"]
    return statements


def call_command(folder: Path, *arguments: str, **environ: str) -> Result:
    """Run `relay servicenow`; the environment contains no secret unless given."""
    return CliRunner().invoke(relay, ["servicenow", *arguments], env={"RELAY_MAPPINGS": str(folder), **environ})


def script_of(folder: Path, *arguments: str) -> str:
    """Return the script that `relay servicenow` prints."""
    result = call_command(folder, *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def settings_of(script: str) -> dict[str, Any]:
    """Return the object that `var RELAY` is set to."""
    match = re.search(r"var RELAY = (\{.*?\n    \});\n", script, re.DOTALL)
    assert match
    found: dict[str, Any] = json.loads(match[1])
    return found


def state(value: str, label: str = "") -> dict[str, str]:
    """Return the value of a choice field."""
    return {"value": value, "display_value": label}


RESOLVED, CLOSED, OPEN = state("6", "Resolved"), state("7", "Closed"), state("2", "In Progress")


def ticket(**fields: Any) -> dict[str, Any]:
    """Return the columns of a resolved incident; `fields` replaces columns."""
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    usual = {"sys_id": SYS_ID, "number": "INC0010023", "state": RESOLVED, "sys_mod_count": "7", "sys_updated_on": now}
    return {**usual, "resolved_by": "ann@example.com", **fields}


@dataclass(slots=True)
class Ran:
    """The effects of a script."""

    posts: list[dict[str, Any]]
    logs: list[dict[str, str]]
    thrown: str | None
    queries: list[str]
    leaked: list[str]

    @property
    def statuses(self) -> list[int]:
        """The statuses of the answers."""
        return [post["status"] for post in self.posts]

    @property
    def errors(self) -> list[str]:
        """The errors in the log."""
        return [line["text"] for line in self.logs if line["level"] == "error"]

    @property
    def infos(self) -> list[str]:
        """The other lines in the log."""
        return [line["text"] for line in self.logs if line["level"] == "info"]

    @property
    def answer(self) -> Any:
        """The only answer, parsed."""
        (post,) = self.posts
        return json.loads(post["answer"])

    @property
    def body(self) -> Any:
        """The only body, parsed."""
        (post,) = self.posts
        return json.loads(post["body"])


@contextmanager
def service_answering(*statuses: int) -> Iterator[str]:
    """Yield the URL of a service that answers with these statuses, one after the other."""
    remaining = iter(statuses)
    with RawServer(lambda _head: answer(b"x" * 300, status=f"{next(remaining)} Status")) as server:
        yield f"{server.url}/"


@dataclass(slots=True)
class Instance:
    """The contents of the instance: system properties, a REST message, and the records of its tables."""

    properties: dict[str, str]
    message: str = "Relay acme"
    #: The user name and password of the profile for basic authentication.
    profile: tuple[str, str] | None = None
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    scope: str = "global"
    #: The message of the error that `execute` throws, if it is not empty.
    execute_error: str = ""

    def run(
        self,
        script: str,
        current: dict[str, Any] | None = None,
        previous: dict[str, Any] | None = None,
        table: str = "incident",
    ) -> Ran:
        """Run a script. It may post and log, but change nothing else."""
        username, password = self.profile or ("", "")
        given = {
            "script": script,
            "now": time.time() * 1000,
            "scope": self.scope,
            "properties": self.properties,
            "messages": {self.message: {"username": username, "password": password}},
            "tables": self.tables,
            "current": current,
            "previous": previous,
            "table": table,
            "executeError": self.execute_error,
        }
        ran = Ran(**NODE.ask({"run": given}))
        assert ran.leaked == []
        return ran
