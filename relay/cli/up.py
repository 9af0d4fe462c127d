"""`relay up`: run Redis (embedded, unless RELAY_REDIS_URL is set), web, one worker and, with --demo, the demo."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from urllib.error import URLError
from urllib.request import urlopen

import click

from relay.cli.demo import Demo, run_demo, start_demo
from relay.cli.supervisor import Child, Supervisor, say
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.folder import read_mappings
from relay.settings import Settings, load_settings, read_environment
from relay.store.connection import Connection
from relay.store.embedded import DataFolder, EmbeddedRedisError, answers, open_data_folder, server_command
from relay.store.heartbeats import Heartbeats

_FOLDER = Path(".relay")
#: How long web and the worker can take to start (seconds).
_START_TIMEOUT = 60.0
#: How long Redis can take to read a long append-only file (seconds).
_LOAD_TIMEOUT = 600.0


@click.command
@click.option("--demo", is_flag=True, help="Add a simulated IEM and Virima, and show how one resolution is delivered.")
def up(*, demo: bool) -> None:
    """Run everything on this machine: Redis, web and one worker.

    Runs until Ctrl-C, and restarts a process that ends. Unless RELAY_REDIS_URL is set, it starts an embedded Redis with its data
    in .relay/.

    \b
    Example:
      relay up
      relay up --demo
    """
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    supervisor = Supervisor(stopping)
    metrics_folder = tempfile.mkdtemp(prefix="relay-metrics-")
    status = 1
    try:
        status = _run(supervisor, metrics_folder, with_demo=demo)
    finally:
        if not stopping.is_set() and status:
            say("relay", "stopping because of the error above")
        supervisor.stop()
        shutil.rmtree(metrics_folder, ignore_errors=True)
    sys.exit(status)


def _run(supervisor: Supervisor, metrics_folder: str, *, with_demo: bool) -> int:
    """Start all processes in order, keep them running, and return the exit status."""
    environ = {**read_environment(), "PYTHONUNBUFFERED": "1", "PROMETHEUS_MULTIPROC_DIR": metrics_folder}
    environ.setdefault("RELAY_LOG_FORMAT", "text")
    settings = load_settings(environ)
    demo = start_demo(_FOLDER / "demo" / "mappings") if with_demo else None
    if demo:
        environ |= demo.environ
        settings = load_settings(environ)
    base_url = _check_port(settings.bind)
    _check_mappings(settings)
    environ["RELAY_REDIS_URL"] = _start_redis(supervisor, environ, demo) or settings.redis_url
    web = [sys.executable, "-m", "gunicorn", "-c", "python:relay.web.gunicorn_conf", "relay.web.wsgi:make_app()"]
    worker = [sys.executable, "-m", "relay", "worker"]
    supervisor.start(Child("worker", worker, environ, settings.shutdown_grace + 5))
    supervisor.start(Child("web", web, {**environ, "PORT": ""}, 35))
    if not supervisor.wait_for(lambda: _is_up(base_url, environ["RELAY_REDIS_URL"]), timeout=_START_TIMEOUT):
        ended = supervisor.ended()
        return _exit_status(ended.process.returncode) if ended and ended.process else 1
    say("relay", f"ready: webhook URL {base_url}/webhooks/<integration>, health {base_url}/readyz; stop with Ctrl-C")
    if demo and not run_demo(demo, base_url, lambda condition: supervisor.wait_for(condition, timeout=30)):
        return 1
    supervisor.run()
    return 0


def _exit_status(status: int) -> int:
    """Return the exit status of a child, such as 78 for a configuration fault; 1 if a signal ended it."""
    return status if status > 0 else 1


def _check_port(bind: str) -> str:
    """Return the base URL. Raises ConfigurationError if the port is in use."""
    if bind.startswith("unix:"):
        raise ConfigurationError(
            ["RELAY_BIND: `relay up` needs HOST:PORT; use a unix socket only with gunicorn behind a proxy"]
        )
    host, _, port = bind.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, int(port)))
        except OSError as error:
            advice = "stop the program that uses it, or set RELAY_BIND, for example to 127.0.0.1:8001"
            raise ConfigurationError([f"RELAY_BIND: cannot listen on {bind}: {error.strerror}; {advice}"]) from None
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared, not bound
    return f"http://{reached}:{port}"


def _check_mappings(settings: Settings) -> None:
    """Print the faults of mapping files. Only a missing folder prevents the start."""
    catalogue = Catalogue(read_mappings(settings.mappings))
    for file in catalogue.broken():
        for complaint in file.formatted_faults():
            say("relay", complaint)
    if not any(catalogue.usable()):
        say(
            "relay", f"no usable mapping file in {settings.mappings}: all webhooks are answered 404 or 503 (try --demo)"
        )


def _start_redis(supervisor: Supervisor, environ: Mapping[str, str], demo: Demo | None) -> str | None:
    """Start the embedded Redis and return its URL, or None if RELAY_REDIS_URL names another Redis, which must answer."""
    if given := environ.get("RELAY_REDIS_URL"):
        _check_redis(given)
        return None
    folder = open_data_folder(_FOLDER / "demo" / "redis" if demo else _FOLDER / "redis")
    _clear_socket(folder)
    supervisor.start(Child("redis", server_command(folder), environ, 60, inherits=folder.lock))
    if not supervisor.wait_for(lambda: answers(folder.url), timeout=_LOAD_TIMEOUT):
        raise EmbeddedRedisError(f"the embedded Redis does not answer (data folder: {folder.path})")
    return folder.url


def _check_redis(url: str) -> None:
    connection = Connection(url, timeout=2)
    try:
        connection.call("PING")
    except StoreUnavailableError as error:
        raise ConfigurationError(
            [f"RELAY_REDIS_URL: {error}; start that Redis, or unset RELAY_REDIS_URL to use the embedded one"]
        ) from None
    finally:
        connection.close()


def _clear_socket(folder: DataFolder) -> None:
    """Remove the socket of a server that was killed. The lock of the folder shows that no server is running."""
    folder.socket.unlink(missing_ok=True)


def _is_up(base_url: str, redis_url: str) -> bool:
    """Return whether web answers and a worker has sent a heartbeat."""
    connection = Connection(redis_url, timeout=1)
    try:
        with urlopen(f"{base_url}/livez", timeout=1):  # noqa: S310 - http on this machine  # nosec B310
            return Heartbeats(connection).youngest_beat() is not None
    except (URLError, OSError, StoreUnavailableError):
        return False
    finally:
        connection.close()
