"""`relay worker`: one process that delivers. Any number of them, on any number of machines, share the work."""

from __future__ import annotations

import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import click
from prometheus_client import start_http_server

from relay.bootstrap import (
    Foundation,
    build_absences,
    build_lookups,
    build_sealer,
    connect_worker,
    lay_foundation,
    load_catalogue,
    worker_name,
)
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.housekeeping import Keep
from relay.lanes import open_lanes
from relay.logs import log
from relay.mappings import Catalogue
from relay.store.connection import Connection
from relay.store.durability import read_durability
from relay.store.trail import Trail
from relay.worker import Crew, Worker

_LOG = logging.getLogger("relay.worker")


@click.command
def worker() -> None:
    """Deliver what was accepted to IEM, until SIGTERM (which finishes what is in flight) or a second one (which does not)."""
    stopping = threading.Event()
    running: list[Worker] = []

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(1)  # in flight stays in flight: its lease runs out, and another worker takes it
        stopping.set()
        for one in running:
            one.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    foundation = lay_foundation()
    connection = connect_worker(foundation.settings)
    catalogue = _read_catalogue(foundation)
    delivering = _hire(foundation, catalogue, connection)
    running.append(delivering)
    if _await_redis(foundation, connection, stopping):
        _serve_metrics(foundation)
        _note_mappings(catalogue, Trail(connection), foundation.clock.now_ms())
        build_sealer(foundation.settings).start(stopping)
        build_lookups(foundation, catalogue.usable()).start(stopping)
        delivering.run(grace=foundation.settings.shutdown_grace)
    logging.shutdown()
    os._exit(0)  # an attempt that outlived the grace must not keep the process


def _read_catalogue(foundation: Foundation) -> Catalogue:
    """Return the mapping files; the log tells which of them cannot be used.

    Raises:
        ConfigurationError: their folder cannot be read.
    """
    catalogue = load_catalogue(foundation)
    if catalogue.fault:
        raise ConfigurationError([catalogue.fault])
    for file in catalogue.broken():
        for complaint in file.complaints():
            log(_LOG, logging.ERROR, "mapping file refused", integration=file.name, fault=complaint)
    return catalogue


def _note_mappings(catalogue: Catalogue, trail: Trail, now: int) -> None:
    """Have the audit trail tell which mappings are at work from now on, and which files were refused."""
    for file in catalogue.files():
        digest = file.integration.digest if file.integration else None
        try:
            trail.note_mapping(file.name, digest=digest, faults=file.complaints(), now=now)
        except StoreUnavailableError as error:
            log(
                _LOG, logging.ERROR, "the trail could not be told of a mapping", integration=file.name, fault=str(error)
            )


def _hire(foundation: Foundation, catalogue: Catalogue, connection: Connection) -> Worker:
    """Return the worker that the settings and the mapping files describe."""
    settings = foundation.settings
    return Worker(
        worker_name(),
        open_lanes(foundation, catalogue.usable(), connection),
        connection,
        Crew(ThreadPoolExecutor(settings.concurrency, thread_name_prefix="attempt"), settings.concurrency),
        keep=Keep(settings.max_dead, build_absences(settings, connection, catalogue)),
        clock=foundation.clock,
    )


def _await_redis(foundation: Foundation, connection: Connection, stopping: threading.Event) -> bool:
    """Wait for Redis for as long as it takes; False where the worker is stopped meanwhile.

    Raises:
        ConfigurationError: its settings would lose what was accepted.
    """
    told = False
    while not stopping.is_set():
        try:
            durability = read_durability(connection)
        except StoreUnavailableError as error:
            if not told:
                log(_LOG, logging.ERROR, "Redis is away: the worker waits for it", fault=str(error))
            told = True
            stopping.wait(0.5)
            continue
        refusals = durability.refusals(volatile_allowed=foundation.settings.volatile == "allow")
        if refusals:
            raise ConfigurationError([f"RELAY_REDIS_URL: {refusal}" for refusal in refusals])
        log(_LOG, logging.INFO, "Redis promises", durability=durability.promise, memory=durability.memory)
        return True
    return False


def _serve_metrics(foundation: Foundation) -> None:
    settings = foundation.settings
    if settings.metrics_port is None:
        return
    try:
        start_http_server(settings.metrics_port, settings.metrics_host)
    except OSError as error:
        raise ConfigurationError(
            [f"RELAY_METRICS_PORT: {settings.metrics_host}:{settings.metrics_port}: {error.strerror}"]
        ) from None
