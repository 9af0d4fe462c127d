"""The doctor's round: what is examined, and in which order it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from relay.doctor.finding import Finding, State
from relay.doctor.machine import (
    examine_backlog,
    examine_journal,
    examine_mapping,
    examine_redis,
    examine_settings,
    examine_workers,
)
from relay.doctor.services import examinations
from relay.doctor.web import examine_web
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.foundation import Foundation, connect
from relay.mapping_files.checker import Side, inspect
from relay.mapping_files.folder import MappingFile, read_mappings
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats
from relay.store.registry import Registry

#: Services that are examined at once.
_AT_ONCE = 8


def examine(foundation: Foundation, environ: Mapping[str, str], side: Side | None = None) -> Iterator[Finding]:
    """Examine settings, Redis, mapping files, each IEM and each Virima; nothing is pushed. Findings come as they are made.

    `side`: of which process this machine has the secrets; without it of both. Services are asked where the worker's are.
    """
    settings = foundation.settings
    yield from examine_settings(settings, environ)
    if side != "worker":
        yield from examine_web(settings, environ, must_run=side == "web")
        yield examine_journal(settings)
    fault, files = _read_files(foundation, side)
    connection = connect(settings)
    try:
        yield from _examine_store(foundation, connection)
        yield from [fault] if fault else []
        yield from map(examine_mapping, files)
        services = [] if side == "web" else _examine_services(files, foundation)
        trusted: set[str] = set()
        for one in services:
            yield one
            trusted |= _names(one)
        yield from _examine_deliveries(connection, files, trusted)
    finally:
        connection.close()


def _names(finding: Finding) -> set[str]:
    """Return the integrations whose account IEM takes, by that finding."""
    is_good = finding.state is State.OK and finding.subject.startswith("iem ")
    return set(finding.subject.removeprefix("iem ").split(", ")) if is_good else set()


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


def _examine_store(foundation: Foundation, connection: Connection) -> Iterator[Finding]:
    """Examine Redis, and what it tells of workers."""
    try:
        yield examine_redis(connection, foundation.settings, foundation.clock)
        yield examine_workers(Heartbeats(connection), foundation.clock)
    except StoreUnavailableError as error:
        advice = "check RELAY_REDIS_URL, and whether Redis runs and can be reached from here"
        yield Finding.fail("redis", str(error).removeprefix("Redis: "), advice)


def _examine_deliveries(connection: Connection, files: list[MappingFile], trusted: set[str]) -> Iterator[Finding]:
    """Examine how each integration gets on that has a file, or that Redis has something of."""
    with_file = {file.name for file in files if file.integration}
    try:
        names = sorted(with_file | Registry(connection).names())
        for one in Heartbeats(connection).backlogs(names):
            state = Circuit(connection).read(one.integration)
            has_file = one.integration in {file.name for file in files}
            yield examine_backlog(one, state, has_file=has_file, is_trusted=one.integration in trusted)
    except StoreUnavailableError:
        return  # told already


def _examine_services(files: list[MappingFile], foundation: Foundation) -> Iterator[Finding]:
    integrations = [file.integration for file in files if file.integration and file.integration.enabled]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="doctor") as pool:
        for findings in pool.map(lambda examination: examination(), examinations(integrations, foundation)):
            yield from findings
