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
    build_sealer,
    connect_worker,
    lay_foundation,
    open_catalogue,
    worker_name,
)
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.housekeeping import Keep
from relay.lanes import open_lanes
from relay.logs import log
from relay.mappings import Catalogue
from relay.reload import Reloader
from relay.staff import Staff
from relay.store.connection import Connection
from relay.store.durability import read_durability
from relay.worker import Crew, Worker

#: Sessions in Virima are ended when a worker stops, if that is quickly done (seconds).
_LOG_OUT_WITHIN = 2.0
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
    catalogue, reloader = open_catalogue(foundation, connection, "worker")
    if catalogue.fault:
        raise ConfigurationError([catalogue.fault])
    delivering = _hire(foundation, catalogue, connection)
    running.append(delivering)
    if _await_redis(foundation, connection, stopping):
        _serve_metrics(foundation)
        staff = Staff(foundation, catalogue, delivering)
        _start_assistants(staff, reloader, stopping)
        delivering.run(grace=foundation.settings.shutdown_grace)
        staff.publisher.close()
        staff.lookups.close(within=_LOG_OUT_WITHIN)
    logging.shutdown()
    os._exit(0)  # an attempt that outlived the grace must not keep the process


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


def _start_assistants(staff: Staff, reloader: Reloader, stopping: threading.Event) -> None:
    """Start what a worker process does beside delivering, each in a thread of its own."""
    staff.notes.write()
    build_sealer(staff.foundation.settings, staff.catalogue).start(stopping)
    staff.lookups.start(stopping)
    staff.publisher.start(stopping)
    reloader.look()  # Redis is there: the last good versions of broken files, too
    staff.bring_up_to_date()
    reloader.start(stopping, within=staff.foundation.settings.reload_interval, looked=staff.look_again)


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
