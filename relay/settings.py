"""The settings (docs/operating/settings.md): read from the environment once, validated together, frozen.

Durations are in seconds, sizes in bytes.
"""

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
#: A hundred years: Redis and the system clock can still represent such a time.
_MAX_DURATION = "36525d"
_MIN_JOURNAL_SIZE = 4 << 20
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def _setting(name: str, meaning: str, default: str | None = None, parse: Callable[[str], Any] = str) -> Any:
    """Return a field that is read from the environment variable `name`; `default` is written as in the environment."""
    return field(metadata={"name": name, "meaning": meaning, "default": default, "parse": parse})


def _redis_url(text: str) -> str:
    if not _REDIS_URL.fullmatch(text):
        raise ValueError("expected redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")
    return text


def _whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text) if re.fullmatch(r"\d{1,9}", text.strip()) else -1
        if not minimum <= number <= maximum:
            raise ValueError(f"{text!r} is not a whole number from {minimum} to {maximum}")
        return number

    return parse


def _journal_size(text: str) -> int:
    size = parse_size(text)
    if size < _MIN_JOURNAL_SIZE:
        raise ValueError(f"{text!r} is too small: at least 4MiB")
    return size


def _duration(minimum: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        seconds = parse_duration(text)
        if seconds < parse_duration(minimum):
            raise ValueError(f"{text!r} is too short: at least {minimum}")
        if seconds > parse_duration(_MAX_DURATION):
            raise ValueError(f"{text!r} is too long: at most {_MAX_DURATION}")
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
    """The values of all settings, as `load_settings` returns them.

    The metadata of each field holds the setting's name, default and meaning.
    """

    redis_url: str = _setting(
        "RELAY_REDIS_URL",
        "URL of Redis: `redis://`, `rediss://` (TLS), `unix://`, `redis+sentinel://host:port,host:port/service/db` or "
        "`redis+cluster://host:port,…`",
        "redis://127.0.0.1:6379/0",
        _redis_url,
    )
    mappings: Path = _setting("RELAY_MAPPINGS", "folder of the mapping files", "mappings", Path)
    admin_token: str | None = _setting(
        "RELAY_ADMIN_TOKEN", "bearer token of the operator API; without it the API is off"
    )
    api_rate: int = _setting(
        "RELAY_API_RATE",
        "calls of the operator API per second, over all web processes",
        "100",
        _whole_number(1, 100_000),
    )
    audit_key: str | None = _setting(
        "RELAY_AUDIT_KEY", "key that seals the audit trail (HMAC-SHA256); without it the seals are plain SHA-256"
    )
    concurrency: int = _setting("RELAY_CONCURRENCY", "pushes in flight per worker process", "16", _whole_number(1, 256))
    max_body: int = _setting("RELAY_MAX_BODY", "largest body of a webhook", "256KiB", parse_size)
    journal: Path | None = _setting(
        "RELAY_JOURNAL",
        "folder of the intake journal; without it webhooks are answered 503 while Redis is unavailable",
        None,
        Path,
    )
    journal_max: int = _setting(
        "RELAY_JOURNAL_MAX", "largest size of the intake journal, at least 4MiB", "1GiB", _journal_size
    )
    proxies: str = _setting(
        "RELAY_PROXIES",
        "`environment`: workers call IEM and Virima through the proxy that `HTTPS_PROXY` and `NO_PROXY` name; "
        "`none`: they connect directly",
        "none",
        _one_of("none", "environment"),
    )
    retention: float = _setting("RELAY_RETENTION", "how long finished deliveries are kept", "30d", _duration("1m"))
    audit_retention: float = _setting(
        "RELAY_AUDIT_RETENTION", "how long audit records are kept in Redis", "90d", _duration("1m")
    )
    reload_interval: float = _setting(
        "RELAY_RELOAD_INTERVAL",
        "time within which a changed mapping file takes effect; the folder is read twice in that time",
        "2s",
        _duration("100ms"),
    )
    log_format: str = _setting(
        "RELAY_LOG_FORMAT", "`json` or `text`; logs go to stderr", "json", _one_of("json", "text")
    )
    log_level: str = _setting(
        "RELAY_LOG_LEVEL",
        "`DEBUG`, `INFO`, `WARNING` or `ERROR`",
        "INFO",
        lambda text: _one_of(*_LEVELS)(text.upper()),
    )
    trusted_proxies: int = _setting(
        "RELAY_TRUSTED_PROXIES",
        "number of reverse proxies whose `X-Forwarded-*` headers are trusted",
        "0",
        _whole_number(0, 10),
    )
    shutdown_grace: float = _setting(
        "RELAY_SHUTDOWN_GRACE",
        "how long a stopping worker waits for the pushes in flight",
        "30s",
        _duration("1s"),
    )
    metrics_port: int | None = _setting(
        "RELAY_METRICS_PORT",
        "port of a worker's own `/metrics`; without it a worker serves no metrics",
        None,
        _whole_number(1, 65535),
    )
    metrics_host: str = _setting("RELAY_METRICS_HOST", "address on which a worker serves `/metrics`", "127.0.0.1")
    token_lifetime: float = _setting(
        "RELAY_TOKEN_LIFETIME",
        "lifetime assumed for an IEM token that does not state its own (that is not a JWT)",
        "30m",
        _duration("1s"),
    )
    bind: str = _setting(
        "RELAY_BIND",
        "address on which web listens: `HOST:PORT` or `unix:PATH`; if `PORT` is set, it is `0.0.0.0:$PORT`",
        "127.0.0.1:8000",
        _bind,
    )
    web_threads: int = _setting(
        "RELAY_WEB_THREADS",
        "webhooks and health checks that a web process handles at the same time; other calls have separate threads",
        "4",
        _whole_number(1, 256),
    )
    receive_timeout: float = _setting(
        "RELAY_RECEIVE_TIMEOUT", "time within which a request must arrive completely", "10s", _duration("1s")
    )
    max_pending: int = _setting(
        "RELAY_MAX_PENDING",
        "pending deliveries per integration; beyond it the integration's webhooks are answered 503",
        "1000000",
        _whole_number(1, 100_000_000),
    )
    max_dead: int = _setting(
        "RELAY_MAX_DEAD",
        "dead letters kept per integration, and rejections kept per integration; beyond it the oldest are deleted",
        "100000",
        _whole_number(1, 100_000_000),
    )
    volatile: str | None = _setting(
        "RELAY_VOLATILE",
        "`allow`: accept a Redis without an append-only file, which loses its data when it stops",
        None,
        _one_of("allow"),
    )


#: Settings that can be read from a file instead: NAME_FILE is its path.
FROM_FILE = ("RELAY_ADMIN_TOKEN", "RELAY_AUDIT_KEY")


def read_environment(folder: Path | None = None) -> dict[str, str]:
    """Return the environment of this process, with the variables that only `.env` in `folder` sets.

    `folder` is the working folder unless given. The environment overrides the file.

    Raises:
        ConfigurationError: the file is not UTF-8 text.
    """
    path = (folder or Path.cwd()) / ".env"
    try:
        from_file = dotenv_values(path)
    except UnicodeDecodeError:
        raise ConfigurationError([f"{path} is not UTF-8 text"]) from None
    return {**{name: value for name, value in from_file.items() if value is not None}, **os.environ}


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in `environ`.

    Raises:
        ConfigurationError: with one sentence for each wrong setting.
    """
    values = dict(environ)
    problems: list[str] = []
    for name in FROM_FILE:
        if path := values.get(f"{name}_FILE"):
            values[name] = _read_file(name, path, problems)
    parsed: dict[str, Any] = {}
    for setting in fields(Settings):
        name, parse = setting.metadata["name"], setting.metadata["parse"]
        raw = values.get(name, "").strip() or setting.metadata["default"]
        try:
            parsed[setting.name] = None if raw is None else parse(_checked_text(raw))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ConfigurationError(problems)
    return Settings(**parsed)


def _checked_text(text: str) -> str:
    if not is_text(text) or "\0" in text:
        raise ValueError("it is not UTF-8 text")
    return text


def _read_file(name: str, path: str, problems: list[str]) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        reason = error.strerror or "it is not a file"
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except ValueError:  # a NUL, or half a surrogate pair
        reason = "it is not a valid file path"
    problems.append(f"{name}_FILE: {path} cannot be read: {reason}")
    return ""
