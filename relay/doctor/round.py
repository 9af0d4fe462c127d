"""The doctor's round: what is examined, and in which order it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from relay.bootstrap import Foundation, connect_worker
from relay.doctor.finding import Finding
from relay.doctor.machine import (
    examine_backlog,
    examine_journal,
    examine_mapping,
    examine_redis,
    examine_settings,
    examine_workers,
)
from relay.doctor.services import examinations
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.inspection import Side, inspect
from relay.mappings import MappingFile, read_mappings
from relay.store.pulse import Pulse

#: Services that are examined at once.
_AT_ONCE = 8


def examine(foundation: Foundation, environ: Mapping[str, str], side: Side | None = None) -> Iterator[Finding]:
    """Examine settings, Redis, mapping files, each IEM and each Virima; nothing is pushed. Findings come as they are made.

    `side`: of which process this machine has the secrets; without it of both. Services are asked where the worker's are.
    """
    settings = foundation.settings
    yield from examine_settings(settings, environ)
    if side != "worker":
        yield examine_journal(settings)
    fault, files = _read_files(foundation, side)
    yield from _examine_store(foundation, [file.name for file in files if file.integration])
    yield from [fault] if fault else []
    yield from map(examine_mapping, files)
    if side != "web":
        yield from _examine_services(files, foundation)


def _read_files(foundation: Foundation, side: Side | None) -> tuple[Finding | None, list[MappingFile]]:
    folder = foundation.settings.mappings
    try:
        files = inspect(read_mappings(folder), foundation.secrets, side)
    except ConfigurationError as error:
        return Finding.fail(
            "mappings", error.problems[0], "set RELAY_MAPPINGS to the folder with the mapping files"
        ), []
    if files:
        return None, files
    return Finding.fail("mappings", f"{folder} has no mapping file", "write one: `relay mappings new NAME`"), []


def _examine_store(foundation: Foundation, names: Sequence[str]) -> Iterator[Finding]:
    """Examine Redis, and what it tells of workers and deliveries."""
    connection = connect_worker(foundation.settings)
    pulse = Pulse(connection)
    try:
        yield examine_redis(connection, foundation.settings, foundation.clock)
        yield examine_workers(pulse, foundation.clock)
        yield from map(examine_backlog, pulse.backlogs(names))
    except StoreUnavailableError as error:
        advice = "check RELAY_REDIS_URL, and whether Redis runs and can be reached from here"
        yield Finding.fail("redis", str(error).removeprefix("Redis: "), advice)
    finally:
        connection.close()


def _examine_services(files: list[MappingFile], foundation: Foundation) -> Iterator[Finding]:
    integrations = [file.integration for file in files if file.integration and file.integration.enabled]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="doctor") as pool:
        for findings in pool.map(lambda examination: examination(), examinations(integrations, foundation)):
            yield from findings
