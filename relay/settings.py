"""The settings of DESIGN section 5: read from the environment once, validated all at once, frozen. Durations are seconds."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from relay.core.units import parse_duration, parse_size
from relay.core.values import is_text
from relay.errors import ConfigurationError

_REDIS_URL = re.compile(r"(rediss?|unix|redis\+sentinel|redis\+cluster)://.+")
#: A hundred years: Redis and the clock of the machine still count so far.
_LONGEST = "36525d"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def _setting(name: str, meaning: str, default: str | None = None, parse: Callable[[str], Any] = str) -> Any:
    """Return a dataclass field that is read from `name`, written as in the environment."""
    return field(metadata={"name": name, "meaning": meaning, "default": default, "parse": parse})


def _redis_url(text: str) -> str:
    if not _REDIS_URL.fullmatch(text):
        raise ValueError("expected redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")
    return text


def _within(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text) if re.fullmatch(r"\d{1,9}", text.strip()) else -1
        if not least <= number <= most:
            raise ValueError(f"{text!r} is not a whole number from {least} to {most}")
        return number

    return parse


def _journal_size(text: str) -> int:
    size = parse_size(text)
    if size < 4 << 20:
        raise ValueError(f"{text!r} is too small: at least 4MiB")
    return size


def _duration(least: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        seconds = parse_duration(text)
        if seconds < parse_duration(least):
            raise ValueError(f"{text!r} is too short: at least {least}")
        if seconds > parse_duration(_LONGEST):
            raise ValueError(f"{text!r} is too long: at most {_LONGEST}")
        return seconds

    return parse


def _bind(text: str) -> str:
    match = re.fullmatch(r"unix:.+|(?:\[[0-9a-fA-F:]+\]|[^:\s]*):(\d{1,5})", text)
    if match is None or int(match[1] or 0) > 65535:
        raise ValueError(f"{text!r} is not an address: expected HOST:PORT or unix:PATH")
    return text


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return parse


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. `load_settings` makes one; each field's metadata holds its name, default and meaning."""

    redis_url: str = _setting(
        "RELAY_REDIS_URL",
        "`redis://`, `rediss://`, `unix://`; `redis+sentinel://host:port,host:port/service/db`; "
        "`redis+cluster://host:port,…`",
        "redis://127.0.0.1:6379/0",
        _redis_url,
    )
    mappings: Path = _setting("RELAY_MAPPINGS", "folder of mapping files", "mappings", Path)
    admin_token: str | None = _setting("RELAY_ADMIN_TOKEN", "bearer token of the operator API and console")
    api_rate: int = _setting(
        "RELAY_API_RATE", "calls of the operator API per second, over all web processes", "100", _within(1, 100_000)
    )
    audit_key: str | None = _setting(
        "RELAY_AUDIT_KEY", "key that seals the audit trail; without it the chain is plain SHA-256"
    )
    concurrency: int = _setting("RELAY_CONCURRENCY", "pushes in flight per worker process", "16", _within(1, 256))
    max_body: int = _setting("RELAY_MAX_BODY", "largest webhook", "256KiB", parse_size)
    journal: Path | None = _setting(
        "RELAY_JOURNAL", "folder of the intake journal; none: 503 while Redis is away", None, Path
    )
    journal_max: int = _setting("RELAY_JOURNAL_MAX", "largest intake journal, at least 4MiB", "1GiB", _journal_size)
    proxies: str = _setting(
        "RELAY_PROXIES",
        "`environment`: workers call IEM and Virima through the proxy that `HTTPS_PROXY` and `NO_PROXY` name; "
        "`none`: directly",
        "none",
        _one_of("none", "environment"),
    )
    retention: float = _setting("RELAY_RETENTION", "how long finished deliveries stay", "30d", _duration("1m"))
    audit_retention: float = _setting(
        "RELAY_AUDIT_RETENTION", "how long audit records stay in Redis", "90d", _duration("1m")
    )
    reload_interval: float = _setting(
        "RELAY_RELOAD_INTERVAL",
        "within which time a changed mapping file is taken: it is looked at twice in it",
        "2s",
        _duration("100ms"),
    )
    log_format: str = _setting("RELAY_LOG_FORMAT", "`json` or `text`; on stderr", "json", _one_of("json", "text"))
    log_level: str = _setting(
        "RELAY_LOG_LEVEL",
        "`DEBUG`, `INFO`, `WARNING` or `ERROR`",
        "INFO",
        lambda text: _one_of(*_LEVELS)(text.upper()),
    )
    trusted_proxies: int = _setting(
        "RELAY_TRUSTED_PROXIES", "how many proxies' `X-Forwarded-*` to believe", "0", _within(0, 10)
    )
    shutdown_grace: float = _setting(
        "RELAY_SHUTDOWN_GRACE",
        "how long a stopping worker finishes what is in flight",
        "30s",
        _duration("1s"),
    )
    metrics_port: int | None = _setting(
        "RELAY_METRICS_PORT", "port of a worker's own `/metrics`; none: it has none", None, _within(1, 65535)
    )
    metrics_host: str = _setting("RELAY_METRICS_HOST", "address of a worker's own `/metrics`", "127.0.0.1")
    token_lifetime: float = _setting(
        "RELAY_TOKEN_LIFETIME",
        "how long an IEM token is used that does not tell its end (no JWT)",
        "30m",
        _duration("1s"),
    )
    bind: str = _setting(
        "RELAY_BIND", "where web listens; with `PORT` set it is `0.0.0.0:$PORT`", "127.0.0.1:8000", _bind
    )
    web_threads: int = _setting(
        "RELAY_WEB_THREADS",
        "webhooks and probes that a web process works on at once; other calls have threads of their own",
        "4",
        _within(1, 256),
    )
    receive_timeout: float = _setting(
        "RELAY_RECEIVE_TIMEOUT", "how long a request may take to arrive whole", "10s", _duration("1s")
    )
    max_pending: int = _setting(
        "RELAY_MAX_PENDING",
        "pending deliveries per integration, beyond which its webhooks are answered 503",
        "1000000",
        _within(1, 100_000_000),
    )
    max_dead: int = _setting(
        "RELAY_MAX_DEAD",
        "dead letters, and rejections, kept per integration; beyond it the oldest go",
        "100000",
        _within(1, 100_000_000),
    )
    volatile: str | None = _setting(
        "RELAY_VOLATILE", "`allow`: accept a Redis without append-only file, which loses what it held when it stops",
        None,
        _one_of("allow"),
    )  # fmt: skip


#: Settings whose value may stand in a file named by NAME_FILE instead.
FROM_FILE = ("RELAY_ADMIN_TOKEN", "RELAY_AUDIT_KEY")


def read_environment(folder: Path | None = None) -> dict[str, str]:
    """Return this process's environment, and below it what a `.env` file in `folder` (the working folder) adds.

    Raises:
        ConfigurationError: the file is no text.
    """
    path = (folder or Path.cwd()) / ".env"
    try:
        written = dotenv_values(path)
    except UnicodeDecodeError:
        raise ConfigurationError([f"{path} is not UTF-8 text"]) from None
    return {**{name: value for name, value in written.items() if value is not None}, **os.environ}


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that `environ` holds.

    Raises:
        ConfigurationError: with every wrong setting, a sentence each.
    """
    values = dict(environ)
    problems: list[str] = []
    for name in FROM_FILE:
        if path := values.get(f"{name}_FILE"):
            values[name] = _read_file(name, path, problems)
    found: dict[str, Any] = {}
    for one in fields(Settings):
        name, parse = one.metadata["name"], one.metadata["parse"]
        raw = values.get(name, "").strip() or one.metadata["default"]
        try:
            found[one.name] = None if raw is None else parse(_whole(raw))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ConfigurationError(problems)
    return Settings(**found)


def _whole(text: str) -> str:
    if not is_text(text) or "\0" in text:
        raise ValueError("it is not UTF-8 text")
    return text


def _read_file(name: str, path: str, problems: list[str]) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        reason = error.strerror or "it is no file"
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except ValueError:  # a NUL, or half a surrogate pair
        reason = "no file can have that name"
    problems.append(f"{name}_FILE: {path} cannot be read: {reason}")
    return ""
