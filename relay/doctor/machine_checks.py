"""Checks of the relay's own parts: settings, web, the folder of the intake journal, Redis, workers."""

from __future__ import annotations

import difflib
import os
import shutil
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import fields

from relay.clock import Clock
from relay.doctor.finding import Finding
from relay.doctor.readiness import NoAnswerError, fetch_readiness, summarise_readiness
from relay.settings import FROM_FILE, Settings
from relay.store.connection import Connection
from relay.store.durability import Durability, read_durability
from relay.store.heartbeats import SILENT_AFTER, Heartbeats

#: The latency of Redis is the median of this number of writes.
_WRITES = 11
#: A slower write is a warning, because senders wait for it (ms).
_SLOW_WRITE = 50.0
_SETTINGS = frozenset({field.metadata["name"] for field in fields(Settings)} | {f"{name}_FILE" for name in FROM_FILE})


def check_settings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check for recommended settings that are missing, and for settings that do not exist."""
    unknown = sorted(name for name in environ if name.startswith("RELAY_") and name not in _SETTINGS)
    for name in unknown:
        similar = difflib.get_close_matches(name, _SETTINGS, 1)
        advice = f"did you mean {similar[0]}?" if similar else "see docs/operating/settings.md"
        yield Finding.warn("settings", f"{name} is not a setting of the relay and has no effect", advice)
    if settings.admin_token is None:
        yield Finding.warn(
            "settings", "RELAY_ADMIN_TOKEN is not set: the operator API is off", "set it to use the operator API"
        )
    if settings.audit_key is None:
        yield Finding.warn(
            "settings",
            "RELAY_AUDIT_KEY is not set: anyone with write access to Redis can change the audit trail and seal it again",
            "set a long random key, and keep a copy of it elsewhere",
        )
    yield Finding.ok("settings", f"all {len(_SETTINGS) - len(FROM_FILE)} are valid")


def check_web(settings: Settings, environ: Mapping[str, str], *, must_run: bool) -> Finding:
    """Check that web accepts webhooks. `must_run` is whether web has to run on this machine."""
    try:
        status, content = fetch_readiness(settings, environ)
    except NoAnswerError as error:
        advice = "start gunicorn; on a machine without web, use `--for worker`"
        return (Finding.fail if must_run else Finding.warn)("web", str(error), advice)
    if status == 200 and content.get("status") == "pass":
        return Finding.ok("web", "accepts webhooks")
    summary, advice = summarise_readiness(content), "see the lines below"
    if status == 200:
        return Finding.warn("web", f"accepts webhooks, with a warning: {summary}", advice)
    return Finding.fail("web", f"does not accept webhooks: {summary}", advice)


def check_journal(settings: Settings) -> Finding:
    """Check the folder in which web stores webhooks while Redis is unavailable."""
    folder = settings.journal
    if folder is None:
        says = "off: while Redis is unavailable, webhooks are answered 503, and ServiceNow does not send them again"
        return Finding.warn("journal", says, "set RELAY_JOURNAL to a folder on a local disk")
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        says = f"{folder} is not a folder that {os.environ.get('USER') or 'this user'} can write to"
        return Finding.fail("journal", says, "create it, and make the user of the web processes its owner")
    free = shutil.disk_usage(folder).free
    if free < settings.journal_max:
        says = f"{folder}: {free >> 20} MiB free, less than RELAY_JOURNAL_MAX ({settings.journal_max >> 20} MiB)"
        return Finding.warn("journal", says, "free some disk space, or lower RELAY_JOURNAL_MAX")
    return Finding.ok("journal", f"{folder}, {free >> 20} MiB free")


def check_redis(connection: Connection, settings: Settings, clock: Clock) -> Finding:
    """Check version, append-only file, eviction, memory and write latency. Raises StoreUnavailableError."""
    durability, latency = read_durability(connection), _write_latency(Heartbeats(connection), clock)
    version = ".".join(map(str, durability.version))
    says = f"{durability.server} {version}: {durability.guarantee}; {durability.memory}; a write takes {latency:.1f} ms"
    if refusals := durability.refusals(volatile_allowed=settings.volatile == "allow"):
        return Finding.fail("redis", says, "; ".join(refusals))
    advice = _redis_advice(durability, latency)
    return Finding.warn("redis", says, advice) if advice else Finding.ok("redis", says)


def _write_latency(heartbeats: Heartbeats, clock: Clock) -> float:
    """Return the median time of a write (ms)."""
    times = []
    for _ in range(_WRITES):
        began = clock.monotonic()
        heartbeats.probe_write(clock.now_ms())
        times.append(1000 * (clock.monotonic() - began))
    return statistics.median(times)


def _redis_advice(durability: Durability, latency: float) -> str | None:
    if durability.appendonly is None:
        return "make sure that its configuration has `appendonly yes` and `maxmemory-policy noeviction`"
    if not durability.appendonly:
        return "set `appendonly yes`, and unset RELAY_VOLATILE: a restart of Redis loses accepted updates"
    if durability.is_short_of_memory:
        return "raise maxmemory: at the limit, webhooks are answered 503"
    if latency > _SLOW_WRITE:
        return "writes are slow, and senders wait for them: check the network, and the load and disk of Redis"
    return None


def check_workers(heartbeats: Heartbeats, clock: Clock) -> Finding:
    """Check that a worker is running. Raises StoreUnavailableError."""
    now = clock.now_ms()
    running = [name for name, at in heartbeats.workers().items() if now - at <= SILENT_AFTER]
    if not running:
        return Finding.fail("workers", "no worker is running: nothing is delivered", "start `relay worker`")
    return Finding.ok("workers", f"{len(running)} running")
