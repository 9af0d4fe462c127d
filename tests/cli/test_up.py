"""`relay up`: its output, and its processes, which all end with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from commands import run_relay
from docs.markdown import blocks, read_text
from harness import RedisServer, base_environ, free_port, wait_until


@dataclass(slots=True)
class Up:
    """`relay up` in its own folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    popen: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, **environ: str) -> Up:
        command = [sys.executable, "-m", "relay", "up", *options]
        environ = {**base_environ(), "RELAY_BIND": f"127.0.0.1:{self.port}", **environ}
        with (self.folder / "out.log").open("ab") as log:
            self.popen = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environ,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self

    @property
    def output(self) -> str:
        return (self.folder / "out.log").read_text("utf-8")

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.output or self.ended(), f"the output has {text!r}", patience=60)
        assert text in self.output, self.output

    def ended(self) -> bool:
        return self.popen is not None and self.popen.poll() is not None

    def stop(self, number: signal.Signals) -> int:
        assert self.popen is not None
        self.popen.send_signal(number)
        return self.popen.wait(60)

    def status(self) -> int:
        assert self.popen is not None
        return self.popen.wait(60)

    def processes(self) -> list[int]:
        """Return the running processes that were started in the folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if (entry / "cwd").readlink() == self.folder and b"\0" in (entry / "cmdline").read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found


@contextmanager
def new_folder() -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="relay-up-") as folder:
        started = Up(Path(folder).resolve())
        yield started
        for process in started.processes():
            os.kill(process, signal.SIGKILL)
        if started.popen:
            started.popen.wait()


@pytest.fixture
def up() -> Iterator[Up]:
    with new_folder() as started:
        yield started


@pytest.fixture(scope="module")
def demo() -> Iterator[Up]:
    """A running demo, for tests that leave it running."""
    with new_folder() as started:
        started.start("--demo").wait_for("Health:")
        yield started


def test_the_demo_delivers_one_resolution_and_stays_up(demo: Up) -> None:
    output = demo.output
    steps = [
        output.index(step) for step in ("1 accepted", "2 mapped", "3 token", "4 pushed", "5 delivered", "6 resolver")
    ]
    assert steps == sorted(steps)
    assert '{"state":6,"sysid":' in output
    assert "200 Success" in output
    assert requests.get(f"http://127.0.0.1:{demo.port}/readyz", timeout=5).json()["status"] == "pass"
    assert "Traceback" not in output


def test_the_curl_command_of_the_demo_sends_another_resolution(demo: Up) -> None:
    command = re.search(r"curl -u .*", demo.output)
    assert command

    answer = subprocess.run(["/bin/sh", "-c", f"{command[0]} --silent"], capture_output=True, text=True, check=True)

    assert answer.stdout.startswith('{"status":"queued"')


def test_the_quickstart_shows_what_the_demo_prints(up: Up) -> None:
    shown = {block.title: block.text for block in blocks(read_text("docs/getting-started/quickstart.md"))}
    up.start("--demo")
    up.wait_for("Health:")
    environ = {
        **base_environ(),
        "RELAY_REDIS_URL": f"unix://{up.folder}/.relay/demo/redis/redis.sock",
        "RELAY_MAPPINGS": str(up.folder / ".relay/demo/mappings"),
    }

    def sh(command: str) -> str:
        return subprocess.run(
            ["/bin/sh", "-c", command], env=environ, capture_output=True, text=True, check=True
        ).stdout

    faults, resolution = re.search(r"curl \S+/_simulator/faults .*", up.output), re.search(r"curl -u .*", up.output)
    assert faults
    assert resolution
    sh(faults[0])
    sh(resolution[0])
    number = re.findall(r"INC\d{7}", resolution[0])[0]

    def explain() -> str:
        return constant(run_relay("explain", number, environ=environ).stdout)

    expected = constant(shown["relay explain"])
    wait_until(lambda: explain() == expected or "attempt=2" in up.output, "the attempt and the lookup are there")

    assert explain() == expected
    printed = constant(up.output).splitlines()
    for title in ("The demo's lines", "A failed attempt"):
        assert [line for line in constant(shown[title]).splitlines() if line not in printed] == []


def constant(text: str) -> str:
    """Return `text` without the parts that differ in each run."""
    for pattern, stand_in in (
        (r"\b[0-9A-Z]{26}\b", "ID"),
        (r"\b[0-9a-f]{32}\b", "SYS_ID"),
        (r"\b[0-9a-f]{12}\b", "VERSION"),
        (r"\bINC\d{7}\b", "NUMBER"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"\b\d\d:\d\d:\d\d\b", "TIME"),
        (r"127\.0\.0\.1:\d+", "ADDRESS"),
        (r"\b\d+ ms|(?<=_ms=)\d+", "DURATION"),
    ):
        text = re.sub(pattern, stand_in, text)
    return text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopping_it_leaves_no_process_behind(up: Up, number: signal.Signals) -> None:
    up.start("--demo")
    up.wait_for("Health:")
    assert len(up.processes()) >= 5

    status = up.stop(number)

    assert status == (-9 if number == signal.SIGKILL else 0)
    wait_until(lambda: not up.processes(), "all processes are gone")
    assert "Traceback" not in up.output


def test_it_starts_again_on_the_same_data_after_a_kill(up: Up) -> None:
    up.start("--demo")
    up.wait_for("Health:")
    for process in up.processes():
        os.kill(process, signal.SIGKILL)
    assert up.status() == -9
    wait_until(lambda: not up.processes(), "all processes are gone")
    (up.folder / "out.log").write_text("", "utf-8")

    up.start("--demo")

    up.wait_for("Send another resolution")


def test_a_child_that_dies_is_restarted(up: Up) -> None:
    up.start("--demo")
    up.wait_for("Health:")
    worker = next(pid for pid in up.processes() if b"relay\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes())

    os.kill(worker, signal.SIGKILL)

    up.wait_for("worker ended with status -9")
    wait_until(lambda: up.output.count("worker started") == 2, "the worker is back")


def test_a_port_in_use_is_reported_with_advice(demo: Up) -> None:
    second = Up(demo.folder, demo.port).start("--demo")

    assert second.status() == 78
    assert f"cannot listen on 127.0.0.1:{demo.port}" in demo.output
    assert "set RELAY_BIND" in demo.output


def test_a_second_relay_on_the_same_data_is_refused(demo: Up) -> None:
    second = Up(demo.folder).start("--demo")

    assert second.status() == 1
    assert "another relay (process" in demo.output


def test_an_unavailable_redis_is_reported(up: Up) -> None:
    up.start("--demo", RELAY_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")

    assert up.status() == 78
    assert "RELAY_REDIS_URL: Redis:" in up.output
    assert "Traceback" not in up.output


def test_a_given_redis_replaces_the_embedded_one(up: Up, redis_url: str) -> None:
    up.start("--demo", RELAY_REDIS_URL=redis_url)

    up.wait_for("Send another resolution")

    assert not any(b"valkey" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in up.processes())


def test_all_wrong_settings_are_reported_with_exit_status_78(up: Up) -> None:
    up.start(RELAY_CONCURRENCY="many", RELAY_RETENTION="30", RELAY_LOG_FORMAT="xml", RELAY_REDIS_URL="http://x")

    assert up.status() == 78
    for name in ("RELAY_CONCURRENCY", "RELAY_RETENTION", "RELAY_LOG_FORMAT", "RELAY_REDIS_URL"):
        assert f"{name}: " in up.output


def test_a_missing_mappings_folder_is_reported(up: Up) -> None:
    up.start()

    assert up.status() == 78
    assert "RELAY_MAPPINGS: the folder mappings cannot be read" in up.output


def test_a_faulty_mapping_file_is_reported_and_stops_nothing(up: Up) -> None:
    (up.folder / "mappings").mkdir()
    (up.folder / "mappings" / "acme.yaml").write_text("source: servicenow\nstats: {}\n", "utf-8")

    up.start()

    up.wait_for("ready: webhook URL")
    assert "mappings/acme.yaml:2:1: unknown key 'stats'; did you mean 'states'?" in up.output
    assert requests.post(f"http://127.0.0.1:{up.port}/webhooks/acme", json={}, timeout=5).status_code == 503


def test_commands_find_the_redis_of_relay_up_in_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / ".relay" / "redis").mkdir(parents=True)
    server = RedisServer(tmp_path / ".relay" / "redis").start()
    try:
        result = run_relay("integrations", "list", "--json", environ=base_environ(), folder=tmp_path)
    finally:
        server.stop()

    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr
