"""`relay worker`: one process that delivers. Any number of them, on any number of machines, share the work."""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType

import click
from prometheus_client import start_http_server

from relay.errors import ConfigurationError, StoreUnavailableError
from relay.foundation import Foundation, connect, lay_foundation, open_catalogue
from relay.logs import log
from relay.mapping_files.reloader import Reloader
from relay.store.connection import Connection
from relay.store.durability import read_durability
from relay.worker.loop import Worker
from relay.worker.runtime import WorkerRuntime
from relay.worker.wiring import build_runtime, build_sealer, build_worker

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
    connection = connect(foundation.settings)
    catalogue, reloader = open_catalogue(foundation, connection, "worker")
    if catalogue.fault:
        raise ConfigurationError([catalogue.fault])
    delivering = build_worker(foundation, catalogue, connection)
    running.append(delivering)
    if _await_redis(foundation, connection, stopping):
        _serve_metrics(foundation)
        runtime = build_runtime(foundation, catalogue, delivering)
        build_sealer(foundation, catalogue).start(stopping)
        _start(runtime, reloader, stopping, foundation.settings.reload_interval)
        delivering.run(grace=foundation.settings.shutdown_grace)
        runtime.publisher.close()
        runtime.lookups.close(within=_LOG_OUT_WITHIN)
    logging.shutdown()
    os._exit(0)  # an attempt that outlived the grace must not keep the process


def _start(runtime: WorkerRuntime, reloader: Reloader, stopping: threading.Event, interval: float) -> None:
    """Start what a worker process does besides delivering, each in a thread of its own."""
    runtime.audit.write()
    runtime.lookups.start(stopping)
    runtime.publisher.start(stopping)
    reloader.look()  # Redis answers now: last good versions of broken files can be read
    runtime.refresh(is_catalogue_changed=True)
    reloader.start(
        stopping, within=interval, looked=lambda is_changed: runtime.refresh(is_catalogue_changed=is_changed)
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
        log(_LOG, logging.INFO, "Redis durability", durability=durability.guarantee, memory=durability.memory)
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
