"""Starts real processes for the tests: Redis, gunicorn and workers, on separate sockets and ports."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
import requests
import yaml

from relay.simulators.iem_access import ApiUser, Installation
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem
from relay.store.embedded import answers, valkey_binary

ROOT = Path(__file__).parent.parent
WEBHOOK_PASSWORD, IEM_USER, IEM_PASSWORD = "sn-secret-pw", "api@example.com", "iem-secret-pw"
SYS_ID = "9d385017c611228701d22104cc95c371"


def wait_until(holds: Callable[[], object], what: str, *, patience: float = 20) -> None:
    """Return as soon as `holds()` is true; fail with `what` after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"waited {patience} s in vain until {what}"
        threading.Event().wait(0.01)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def sys_id(number: int) -> str:
    """Return the sys_id of the `number`-th ticket."""
    return f"{number:032x}"


class ImmediateExecutor(Executor):
    """Runs each task in the thread that submits it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        fn(*args, **kwargs)
        return Future()


def redis_binary() -> Path:
    """Return the server that the tests start: RELAY_TEST_REDIS_SERVER, or the embedded Valkey."""
    given = os.environ.get("RELAY_TEST_REDIS_SERVER")
    return Path(given) if given else valkey_binary()


@dataclass(slots=True)
class RedisServer:
    """A Redis with an append-only file that can be killed, stopped and started again."""

    folder: Path
    fsync: str = "always"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The value of RELAY_REDIS_URL."""
        return f"unix://{self.folder}/redis.sock"

    def start(self) -> RedisServer:
        """Start the server, and wait until it has read its file."""
        options = {"port": "0", "unixsocket": f"{self.folder}/redis.sock", "dir": str(self.folder), "save": ""}
        options |= {"appendonly": "yes", "appendfsync": self.fsync, "loglevel": "warning"}
        flat = [part for name, value in options.items() for part in (f"--{name}", value)]
        # The server ignores SIGXFSZ, as Python does, so that a write beyond the limit of the file size fails instead.
        command = [str(redis_binary()), *flat]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, restore_signals=False)
        wait_until(lambda: answers(self.url), "Redis answers")
        return self

    def limit_files(self, size: int) -> None:
        """Refuse writes that make a file larger than `size` bytes; -1 removes the limit."""
        assert self.process is not None
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        assert self.process is not None
        self.process.send_signal(number)
        if number in {signal.SIGKILL, signal.SIGTERM}:
            self.process.wait()

    def stop(self) -> None:
        """Kill the server if it runs."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.send(signal.SIGKILL)


@dataclass(slots=True)
class Process:
    """A process of the relay, and its output."""

    command: list[str]
    environ: Mapping[str, str]
    folder: Path
    name: str
    popen: subprocess.Popen[bytes] = field(init=False)
    _log: IO[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._log = (self.folder / f"{self.name}.log").open("ab")
        self.popen = subprocess.Popen(
            self.command,
            env=dict(self.environ),
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )

    @property
    def log(self) -> str:
        """The output so far."""
        return (self.folder / f"{self.name}.log").read_text("utf-8")

    @property
    def logged(self) -> list[dict[str, Any]]:
        """The log lines so far. An incomplete last line is omitted."""
        return [json.loads(line) for line in self.log.splitlines(keepends=True) if line[0] == "{" and line[-1] == "\n"]

    def stop(self, number: signal.Signals = signal.SIGTERM, *, patience: float = 40) -> int:
        """End the process by a signal, and return its exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        status = self.popen.wait(patience)
        self._log.close()
        return status


def kill_all(process: Process) -> None:
    """Kill gunicorn's master and its workers at the same time."""
    children = Path(f"/proc/{process.popen.pid}/task/{process.popen.pid}/children").read_text("ascii").split()
    for pid in [process.popen.pid, *map(int, children)]:
        os.kill(pid, signal.SIGKILL)
    process.stop()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "its workers are gone")


def base_environ() -> dict[str, str]:
    """Return the environment of this process without the settings of the relay."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELAY_", "PROMETHEUS_", "PORT"))}
    return {**kept, "ACME_WEBHOOK_PASSWORD": WEBHOOK_PASSWORD, "ACME_IEM_PASSWORD": IEM_PASSWORD}


def mapping(iem_url: str, **changes: Any) -> dict[str, Any]:
    """Return the content of a mapping file. `changes` replaces keys, and is merged into blocks."""
    content: dict[str, Any] = {
        "source": "servicenow",
        "auth": [{"type": "basic", "username": "sn", "password": {"env": "ACME_WEBHOOK_PASSWORD"}}],
        "iem": {
            "url": iem_url,
            "customer_id": "ACME",
            "integration_id": "42",
            "username": IEM_USER,
            "password": {"env": "ACME_IEM_PASSWORD"},
            "timeout": "2s",
        },
        "retry": {"first": "50ms", "most": "500ms"},
    }
    for key, value in changes.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) and key in content else value
    return content


def private_certificate(folder: Path) -> tuple[Path, Path]:
    """Create a key and a self-signed certificate for 127.0.0.1. Without openssl the test is skipped; in CI it fails."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    if shutil.which("openssl") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("openssl is missing: it creates the certificate")
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate


def write_mapping(folder: Path, name: str, content: Mapping[str, Any]) -> Path:
    """Write a mapping file."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(dict(content)), "utf-8")
    return path


def simulated_iem(*, clock: Callable[[], float] = time.time) -> SimulatorServer:
    """Return a simulated IEM (not started) that knows the mapping's account, customer and integration."""
    user = ApiUser(IEM_USER, IEM_PASSWORD, frozenset({"ACME"}))
    return SimulatorServer(SimulatedIem(Installation((user,), {"ACME": True}, frozenset({"42"})), clock=clock))


def iem_of(server: SimulatorServer) -> SimulatedIem:
    """Return the simulated IEM that `server` serves."""
    assert isinstance(server.service, SimulatedIem)
    return server.service


@dataclass(slots=True)
class Relay:
    """Web and workers with one Redis and one folder of mapping files."""

    folder: Path
    redis_url: str
    environ: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    processes: list[Process] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The URL of web."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def mappings(self) -> Path:
        """The folder of mapping files."""
        return self.folder / "mappings"

    def _environ(self) -> dict[str, str]:
        own = {"RELAY_REDIS_URL": self.redis_url, "RELAY_MAPPINGS": str(self.mappings), "RELAY_LOG_FORMAT": "json"}
        own["TMPDIR"] = str(self.folder)  # files that killed processes leave behind are removed with it
        return {**base_environ(), **own, **self.environ}

    def _start(self, command: list[str], name: str) -> Process:
        process = Process(command, self._environ(), self.folder, f"{name}-{len(self.processes)}")
        self.processes.append(process)
        return process

    def start_web(self, *, processes: int = 2) -> Process:
        """Start gunicorn with the documented command, and wait until it answers."""
        command = [sys.executable, "-m", "gunicorn", "-w", str(processes), "-b", f"127.0.0.1:{self.port}", "wsgi:app"]
        web = self._start(command, "web")
        wait_until(lambda: web.popen.poll() is not None or _answers(f"{self.url}/livez"), "web answers")
        assert web.popen.poll() is None, web.log
        return web

    def start_worker(self) -> Process:
        """Start a worker, without waiting until it is ready."""
        return self._start([sys.executable, "-m", "relay", "worker"], "worker")

    def stop(self) -> None:
        """Kill the processes that still run."""
        for process in self.processes:
            process.stop(signal.SIGKILL)

    def post(self, payload: Any, *, name: str = "acme", timeout: float = 5, **options: Any) -> requests.Response:
        """Post a webhook as the sender of the mapping."""
        options.setdefault("auth", ("sn", WEBHOOK_PASSWORD))
        body = {"data": payload} if isinstance(payload, bytes | str) else {"json": payload}
        return requests.post(f"{self.url}/webhooks/{name}", timeout=timeout, **body, **options)

    def check(self, name: str) -> dict[str, Any]:
        """Return the result of a check of /readyz."""
        checks = requests.get(f"{self.url}/readyz", timeout=5).json()["checks"]
        result: dict[str, Any] = checks[name][0]
        return result

    def delivery_status(self, delivery_id: str, *, name: str = "acme") -> str:
        """Return the status of a delivery, which its sender can read."""
        url = f"{self.url}/webhooks/{name}/deliveries/{delivery_id}"
        status: str = requests.get(url, auth=("sn", WEBHOOK_PASSWORD), timeout=5).json()["delivery_status"]
        return status


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False
