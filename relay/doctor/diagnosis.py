"""All checks of `relay doctor`, in the order of its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from relay.doctor.finding import Finding, State
from relay.doctor.integration_checks import check_deliveries, check_mapping_file
from relay.doctor.machine_checks import check_journal, check_redis, check_settings, check_web, check_workers
from relay.doctor.service_checks import service_checks
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.foundation import Foundation, connect
from relay.mapping_files.checker import Side, inspect
from relay.mapping_files.folder import MappingFile, read_mappings
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats
from relay.store.registry import Registry

#: How many services are checked at the same time.
_MAX_CONCURRENT = 8


def diagnose(foundation: Foundation, environ: Mapping[str, str], side: Side | None = None) -> Iterator[Finding]:
    """Check settings, Redis, mapping files, each IEM and each Virima, and yield each finding as soon as it is known.

    `side` is the process whose secrets this machine has; None means both. For web, services are not checked.
    """
    settings = foundation.settings
    yield from check_settings(settings, environ)
    if side != "worker":
        yield check_web(settings, environ, must_run=side == "web")
        yield check_journal(settings)
    folder_finding, files = _read_files(foundation, side)
    connection = connect(settings)
    try:
        yield from _check_store(foundation, connection)
        yield from [folder_finding] if folder_finding else []
        yield from map(check_mapping_file, files)
        findings = [] if side == "web" else _check_services(files, foundation)
        accepted: set[str] = set()
        for finding in findings:
            yield finding
            accepted |= _accepted_integrations(finding)
        yield from _check_all_deliveries(connection, files, accepted)
    finally:
        connection.close()


def _accepted_integrations(finding: Finding) -> set[str]:
    """Return the integrations whose credentials IEM accepts, according to this finding."""
    is_good = finding.state is State.OK and finding.subject.startswith("iem ")
    return set(finding.subject.removeprefix("iem ").split(", ")) if is_good else set()


def _read_files(foundation: Foundation, side: Side | None) -> tuple[Finding | None, list[MappingFile]]:
    folder = foundation.settings.mappings
    try:
        files = inspect(read_mappings(folder), foundation.secrets, side)
    except ConfigurationError as error:
        advice = "set RELAY_MAPPINGS to the folder of the mapping files"
        return Finding.fail("mappings", error.problems[0], advice), []
    if files:
        return None, files
    return Finding.fail("mappings", f"{folder} has no mapping file", "create one: `relay mappings new NAME`"), []


def _check_store(foundation: Foundation, connection: Connection) -> Iterator[Finding]:
    """Check Redis, and the heartbeats of the workers in it."""
    try:
        yield check_redis(connection, foundation.settings, foundation.clock)
        yield check_workers(Heartbeats(connection), foundation.clock)
    except StoreUnavailableError as error:
        advice = "check RELAY_REDIS_URL, and whether Redis is running and reachable from this machine"
        yield Finding.fail("redis", str(error).removeprefix("Redis: "), advice)


def _check_all_deliveries(connection: Connection, files: list[MappingFile], accepted: set[str]) -> Iterator[Finding]:
    """Check the deliveries of each integration that has a mapping file, or data in Redis."""
    usable = {file.name for file in files if file.integration}
    with_file = {file.name for file in files}
    try:
        names = sorted(usable | Registry(connection).names())
        for backlog in Heartbeats(connection).backlogs(names):
            name, state = backlog.integration, Circuit(connection).read(backlog.integration)
            yield check_deliveries(backlog, state, has_file=name in with_file, is_accepted=name in accepted)
    except StoreUnavailableError:
        return  # reported by _check_store


def _check_services(files: list[MappingFile], foundation: Foundation) -> Iterator[Finding]:
    integrations = [file.integration for file in files if file.integration and file.integration.enabled]
    with ThreadPoolExecutor(_MAX_CONCURRENT, thread_name_prefix="doctor") as pool:
        for findings in pool.map(lambda check: check(), service_checks(integrations, foundation)):
            yield from findings
