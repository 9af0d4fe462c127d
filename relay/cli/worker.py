"""`relay worker`: one worker process. Any number of workers, on any number of machines, share the deliveries."""

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
from relay.worker.lane_updater import LaneUpdater
from relay.worker.loop import Worker
from relay.worker.wiring import build_lane_updater, build_sealer, build_worker

#: How long a stopping worker tries to end its Virima sessions (seconds).
_LOGOUT_TIMEOUT = 2.0
_LOG = logging.getLogger("relay.worker")


@click.command
def worker() -> None:
    """Deliver accepted updates to IEM.

    SIGTERM or Ctrl-C stops the worker when its pushes in flight have ended, at the latest after RELAY_SHUTDOWN_GRACE. A second
    signal stops it at once; another worker then repeats those pushes.

    \b
    Example:
      relay worker
    """
    stopping = threading.Event()
    workers: list[Worker] = []

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(1)  # leases of deliveries in flight expire, and another worker takes them
        stopping.set()
        for started in workers:
            started.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    foundation = lay_foundation()
    connection = connect(foundation.settings)
    catalogue, reloader = open_catalogue(foundation, connection, "worker")
    if catalogue.fault:
        raise ConfigurationError([catalogue.fault])
    loop = build_worker(foundation, catalogue, connection)
    workers.append(loop)
    if _await_redis(foundation, connection, stopping):
        _serve_metrics(foundation)
        lane_updater = build_lane_updater(foundation, catalogue, loop)
        build_sealer(foundation, catalogue).start(stopping)
        _start(lane_updater, reloader, stopping, foundation.settings.reload_interval)
        loop.run(grace=foundation.settings.shutdown_grace)
        lane_updater.publisher.close()
        lane_updater.lookups.close(within=_LOGOUT_TIMEOUT)
    logging.shutdown()
    os._exit(0)  # an attempt that takes longer must not keep the process alive


def _start(lane_updater: LaneUpdater, reloader: Reloader, stopping: threading.Event, interval: float) -> None:
    """Start the background threads of a worker process: lookups, publications, reloading of mapping files."""
    lane_updater.audit.write()
    lane_updater.lookups.start(stopping)
    lane_updater.publisher.start(stopping)
    reloader.poll()  # again, because last good versions of broken files can be read from Redis now
    lane_updater.refresh(is_catalogue_changed=True)
    reloader.start(
        stopping, within=interval, polled=lambda is_changed: lane_updater.refresh(is_catalogue_changed=is_changed)
    )


def _await_redis(foundation: Foundation, connection: Connection, stopping: threading.Event) -> bool:
    """Wait for Redis, without a time limit. Returns False if the worker is stopped before Redis answers.

    Raises:
        ConfigurationError: Redis is configured so that it would lose accepted updates.
    """
    is_logged = False
    while not stopping.is_set():
        try:
            durability = read_durability(connection)
        except StoreUnavailableError as error:
            if not is_logged:
                log(_LOG, logging.ERROR, "Redis is unavailable: the worker waits for it", fault=str(error))
            is_logged = True
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
