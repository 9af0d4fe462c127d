"""gunicorn's settings: `gunicorn -c python:relay.web.gunicorn_conf`, or the gunicorn.conf.py that imports this module.

A wrong setting ends the start here, in gunicorn's master process, with every problem listed and exit status 78.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from relay.core.redact import Redactor
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.intake.journal import open_journal
from relay.mapping_files.folder import read_mappings
from relay.settings import Settings, load_settings, read_environment

EX_CONFIG = 78


def _load() -> Settings:
    try:
        settings = load_settings(read_environment())
        read_mappings(settings.mappings)
        if settings.journal:
            # A SQLite connection does not survive a fork: each process opens its own.
            open_journal(settings.journal, max_bytes=settings.journal_max).close()
        return settings
    except ConfigurationError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        sys.exit(EX_CONFIG)


def _make_metrics_folder() -> str:
    """Return an empty folder in which the web processes share their counters, so that each can report all of them."""
    folder = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR") or tempfile.mkdtemp(prefix="relay-metrics-"))
    folder.mkdir(parents=True, exist_ok=True)
    _wipe(folder)
    return str(folder)


def _wipe(folder: Path) -> None:
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)


def _max_connections(threads: int) -> int:
    """Return how many connections a process can hold and still have file descriptors for Redis and the journal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1000 + 40 * threads
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(2 * threads, min(1000 + threads, soft - 40 * threads))


_settings = _load()
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics_folder = _make_metrics_folder()

bind = f"0.0.0.0:{os.environ['PORT']}" if os.environ.get("PORT") else _settings.bind
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
# Slow senders do not occupy its threads.
worker_class = "relay.web.gunicorn_worker.PatientWorker"
threads = _settings.web_threads
worker_connections = _max_connections(threads)
# A request header cannot change the path.
forwarder_headers = ""
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
# By default there is one socket per user: a second relay on the machine would take it over.
control_socket_disable = True
accesslog = None
errorlog = "-"
loglevel = "warning"
timeout = 60
graceful_timeout = 30
keepalive = 15
backlog = 1024


def on_starting(server: Any) -> None:
    """Exit if Redis would lose accepted updates. If Redis is unavailable, start and wait for it."""
    from relay.logs import log, set_up_logs  # noqa: PLC0415
    from relay.store.durability import read_durability  # noqa: PLC0415
    from relay.web.connections import connect_webhooks  # noqa: PLC0415 - not before PROMETHEUS_MULTIPROC_DIR is set

    connection = connect_webhooks(_settings)
    try:
        durability = read_durability(connection)
    except StoreUnavailableError as error:
        outcome = "kept in the journal" if _settings.journal else "answered 503"
        sys.stderr.write(f"RELAY_REDIS_URL: {error}. Until Redis answers, webhooks are {outcome}.\n")
        return
    finally:
        connection.close()
    refusals = durability.refusals(volatile_allowed=_settings.volatile == "allow")
    for refusal in refusals:
        sys.stderr.write(f"RELAY_REDIS_URL: {refusal}\n")
    if refusals:
        on_exit(server)
        sys.exit(EX_CONFIG)
    set_up_logs(form=_settings.log_format, level=_settings.log_level, redactor=Redactor())
    logger = logging.getLogger("relay.web")
    log(logger, logging.INFO, "Redis durability", durability=durability.guarantee, memory=durability.memory)


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Keep the counters of a web process that ended, but not its files, so that the folder does not grow."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - not before PROMETHEUS_MULTIPROC_DIR is set

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Remove the counters, and their folder if it is empty."""
    _wipe(Path(_metrics_folder))
    with contextlib.suppress(OSError):
        Path(_metrics_folder).rmdir()
