"""Commands in processes of their own: exit statuses, standard streams, broken pipes, encodings, and the modules that are loaded.

The other tests run commands in their own process; here a sample of each group is run both ways, with the same result.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run_relay, spawn_relay
from harness import ROOT, base_environ, mapping, write_mapping

from relay import __version__
from relay.clock import now_ms
from relay.core.model import TicketFields, Update
from relay.foundation import new_id
from relay.mapping_files.folder import read_mapping
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission

PAYLOAD = json.dumps({"sys_id": "9d385017c611228701d22104cc95c371", "state": "6", "number": "INC\u2192\u009b1"})


@pytest.fixture
def environ(tmp_path: Path, redis: Connection, redis_url: str) -> dict[str, str]:
    """The environment of commands that see one integration with one delivery."""
    path = write_mapping(tmp_path / "mappings", "acme", mapping("http://127.0.0.1:9"))
    (tmp_path / "mappings" / "broken.yaml").write_text("source: servicenow\n", "utf-8")
    integration = read_mapping(path).integration
    assert integration
    update = Update(TicketFields("9d385017c611228701d22104cc95c371", "6", number="INC\u2192\u009b1"), 6)
    queue = DeliveryQueue(redis, "acme", retention=86400)
    queue.accept(integration, [Submission(new_id(now_ms()), update, now_ms(), "sn")], now_ms())
    return {**base_environ(), "RELAY_MAPPINGS": "mappings", "RELAY_REDIS_URL": redis_url, "RELAY_BIND": "127.0.0.1:9"}


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("integrations list", 0),
        ("integrations resume acme", 1),
        ("deliveries list", 0),
        ("deliveries show", 2),
        ("rejections list --json", 0),
        ("explain INC1", 1),
        ("audit list", 0),
        ("audit verify mappings/acme.yaml", 1),
        ("mappings check", 78),
        ("mappings new --source jira", 2),
        ("try acme - --json", 0),
        ("try broken -", 78),
        ("servicenow acme", 0),
        ("iem publish acme events -", 1),
        ("virima whoami acme", 78),
        ("healthcheck web", 1),
        ("--help", 0),
        ("nothing", 2),
    ],
)
def test_a_command_gives_the_same_result_in_a_process_of_its_own(
    environ: dict[str, str], tmp_path: Path, command: str, status: int
) -> None:
    own = {**environ, "PYTHONPATH": str(ROOT)}

    spawned = spawn_relay(*command.split(), environ=own, folder=tmp_path, stdin=PAYLOAD)
    called = run_relay(*command.split(), environ=own, folder=tmp_path, stdin=PAYLOAD)

    assert spawned.returncode == status, spawned.stderr
    assert bool(spawned.stdout) == (status == 0 or command == "mappings check")
    assert (called.returncode, called.stdout, called.stderr) == (status, spawned.stdout, spawned.stderr)


def test_doctor_gives_the_same_findings_in_a_process_of_its_own(environ: dict[str, str], tmp_path: Path) -> None:
    spawned, called = (
        run("doctor", "--json", environ={**environ, "PYTHONPATH": str(ROOT)}, folder=tmp_path)
        for run in (spawn_relay, run_relay)
    )

    assert (spawned.returncode, called.returncode) == (1, 1)
    assert [(finding["subject"], finding["state"]) for finding in json.loads(spawned.stdout)] == [
        (finding["subject"], finding["state"]) for finding in json.loads(called.stdout)
    ]
    assert spawned.stderr == called.stderr


def test_a_reader_that_closes_the_pipe_gets_no_traceback(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "relay", "mappings", "schema"]
    with subprocess.Popen(
        command, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout
        process.stdout.close()
        assert process.stderr
        complaint = process.stderr.read()

    assert process.returncode == 1
    assert "Traceback" not in complaint


def test_an_ascii_locale_does_not_stop_a_command(environ: dict[str, str], tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONPATH": str(ROOT)}

    result = spawn_relay("deliveries", "list", "--json", environ={**environ, **ascii_only}, folder=tmp_path)

    assert result.returncode == 0, result.stderr
    assert [delivery["number"] for delivery in json.loads(result.stdout)] == ["INC\u2192\u009b1"]


def test_the_help_loads_no_command() -> None:
    script = (
        "import sys; sys.argv = ['relay', '--help']\n"
        "from relay.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: print(*sorted(name for name in sys.modules if name.startswith('relay.')))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, encoding="utf-8", check=True, timeout=60
    )

    assert done.stdout.splitlines()[-1].split() == ["relay.cli", "relay.cli.main", "relay.errors"]


def test_the_version_is_printed() -> None:
    result = spawn_relay("--version", environ=base_environ())

    assert (result.returncode, result.stdout) == (0, f"relay, version {__version__}\n")
