"""Examining what the relay has of its own: settings, the journal's folder, Redis, workers, mapping files."""

from __future__ import annotations

import difflib
import os
import shutil
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import fields

from relay.clock import Clock
from relay.core.orphan_reasons import PARKED_BY_HAND, OrphanReason
from relay.core.reasons import Reason
from relay.core.values import format_time
from relay.doctor.finding import Finding
from relay.mapping_files.folder import MappingFile
from relay.settings import FROM_FILE, Settings
from relay.store.circuit import CircuitState
from relay.store.connection import Connection
from relay.store.durability import Durability, read_durability
from relay.store.heartbeats import SILENT_AFTER, Backlog, Heartbeats

#: Writes whose median is told as Redis's latency, and what is slow (ms): senders wait for it.
_WRITES, _SLOW = 11, 50.0
#: Reasons of a parked integration that people chose.
_INTENDED = frozenset({PARKED_BY_HAND, *(reason for reason in OrphanReason if reason.row.is_intended)})
_SETTINGS = frozenset({one.metadata["name"] for one in fields(Settings)} | {f"{name}_FILE" for name in FROM_FILE})


def examine_settings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Examine settings that could be read: what is not set and should be, and what is set and unknown."""
    unknown = sorted(name for name in environ if name.startswith("RELAY_") and name not in _SETTINGS)
    for name in unknown:
        near = difflib.get_close_matches(name, _SETTINGS, 1)
        meant = f"did you mean {near[0]}?" if near else "see docs/operating/settings.md"
        yield Finding.warn("settings", f"{name} is no setting, and has no effect", meant)
    if settings.admin_token is None:
        yield Finding.warn(
            "settings", "RELAY_ADMIN_TOKEN is not set: the operator API is off", "set it, if you want the API"
        )
    if settings.audit_key is None:
        yield Finding.warn(
            "settings",
            "RELAY_AUDIT_KEY is not set: who can write to Redis can change the audit trail and seal it anew",
            "set a long random key, and keep it elsewhere too",
        )
    yield Finding.ok("settings", f"all {len(_SETTINGS) - len(FROM_FILE)} can be used")


def examine_journal(settings: Settings) -> Finding:
    """Examine where webhooks go while Redis is away."""
    folder = settings.journal
    if folder is None:
        says = "off: while Redis is away webhooks are answered 503, and ServiceNow does not send them again"
        return Finding.warn("journal", says, "set RELAY_JOURNAL to a folder on a local disk")
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        says = f"{folder} is no folder that {os.environ.get('USER') or 'this user'} can write to"
        return Finding.fail("journal", says, "create it, and let the web processes' user own it")
    free = shutil.disk_usage(folder).free
    if free < settings.journal_max:
        says = f"{folder}: {free >> 20} MiB free, less than RELAY_JOURNAL_MAX ({settings.journal_max >> 20} MiB)"
        return Finding.warn("journal", says, "make room, or lower RELAY_JOURNAL_MAX")
    return Finding.ok("journal", f"{folder}, {free >> 20} MiB free")


def examine_redis(connection: Connection, settings: Settings, clock: Clock) -> Finding:
    """Examine version, append-only file, eviction, memory, and how long a write takes. Raises StoreUnavailableError."""
    durability, took = read_durability(connection), _latency(Heartbeats(connection), clock)
    version = ".".join(map(str, durability.version))
    says = f"{durability.server} {version}: {durability.guarantee}; {durability.memory}; a write takes {took:.1f} ms"
    if refusals := durability.refusals(volatile_allowed=settings.volatile == "allow"):
        return Finding.fail("redis", says, "; ".join(refusals))
    doubt = _doubt(durability, took)
    return Finding.warn("redis", says, doubt) if doubt else Finding.ok("redis", says)


def _latency(heartbeats: Heartbeats, clock: Clock) -> float:
    """Return the median time of a write (ms)."""
    times = []
    for _ in range(_WRITES):
        began = clock.monotonic()
        heartbeats.probe_write(clock.now_ms())
        times.append(1000 * (clock.monotonic() - began))
    return statistics.median(times)


def _doubt(durability: Durability, took: float) -> str | None:
    if durability.appendonly is None:
        return "make sure that it has `appendonly yes` and `maxmemory-policy noeviction`"
    if not durability.appendonly:
        return "set `appendonly yes`, and unset RELAY_VOLATILE: a restart of Redis loses what was accepted"
    if durability.is_short_of_memory:
        return "raise maxmemory: at the limit webhooks are answered 503"
    if took > _SLOW:
        return "that is slow, and senders wait for it: look at the network, at Redis's load and its disk"
    return None


def examine_workers(heartbeats: Heartbeats, clock: Clock) -> Finding:
    """Examine whether anybody delivers. Raises StoreUnavailableError."""
    now = clock.now_ms()
    at_work = [name for name, at in heartbeats.workers().items() if now - at <= SILENT_AFTER]
    if not at_work:
        return Finding.fail("workers", "none has been heard of lately: nothing is delivered", "start `relay worker`")
    return Finding.ok("workers", f"{len(at_work)} at work")


def examine_mapping(file: MappingFile) -> Finding:
    """Tell what an inspection found in a mapping file."""
    subject = f"mapping {file.name}"
    more = "see `relay mappings check`"
    if file.faults:
        others = f" (and {len(file.faults) - 1} more)" if len(file.faults) > 1 else ""
        return Finding.fail(subject, f"{file.formatted_faults()[0]}{others}", more)
    assert file.integration
    one = file.integration
    says = f"{file.path}: {one.source} → IEM {one.iem.customer_id}/{one.iem.integration_id}"
    if not one.enabled:
        return Finding.warn(subject, f"{says}, disabled: webhooks are answered 404", "set `enabled: true`")
    if file.warnings:
        return Finding.warn(subject, file.format_fault(file.warnings[0]), more)
    return Finding.ok(subject, says)


def examine_backlog(one: Backlog, state: CircuitState | None, *, has_file: bool, is_trusted: bool) -> Finding:
    """Tell whether an integration's deliveries get on. `is_trusted`: IEM has just given a token to its account."""
    name, subject = one.integration, f"deliveries {one.integration}"
    says = f"{one.pending} pending, {one.dead} dead letters, {one.rejections} rejections"
    if not has_file:
        advice = f"put {name}.yaml back, or leave it: what is pending waits"
        return Finding.warn(subject, f"{says}; it has no mapping file any more", advice)
    if state:
        kind = Finding.fail if one.pending and state.reason not in _INTENDED else Finding.warn
        return kind(subject, f"{says}, parked: {_tell_parking(state)}", _advise_on(name, state, is_trusted=is_trusted))
    if one.dead:
        return Finding.warn(subject, says, f"see `relay deliveries list --integration {name} --status dead`")
    if one.rejections:
        return Finding.warn(subject, says, "webhooks that could not be mapped: see `relay rejections list`")
    return Finding.ok(subject, says)


def _tell_parking(state: CircuitState) -> str:
    if state.reason == PARKED_BY_HAND:
        return f"by {state.by}" + (f", because: {state.why}" if state.why else "")
    probe = f", next probe at {format_time(state.next_probe_at)}" if state.next_probe_at else ""
    return f"{state.reason} since {format_time(state.since)}{probe}"


def _advise_on(name: str, state: CircuitState, *, is_trusted: bool) -> str:
    resume = f"`relay integrations resume {name}`"
    if state.reason in set(OrphanReason):
        return OrphanReason(state.reason).row.advice
    if state.reason == PARKED_BY_HAND:
        return f"{resume} when that is over"
    if state.reason == Reason.WRONG_CREDENTIALS and is_trusted:
        return f"IEM takes the account by now: {resume}"
    return f"{Reason(state.reason).row.advice}; then {resume} probes at once"
