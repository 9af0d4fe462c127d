"""Reads from a Redis server what it guarantees: version, append-only file, fsync, eviction; and how much memory is left."""

from __future__ import annotations

from dataclasses import dataclass

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection

MIN_VERSION = (7, 0)


@dataclass(frozen=True, slots=True)
class Durability:
    """What the server reports about itself; None for a setting that it hides."""

    server: str
    version: tuple[int, ...]
    appendonly: bool | None
    appendfsync: str | None
    eviction: str | None
    #: Bytes; the limit is None without `maxmemory`.
    memory_used: int = 0
    memory_limit: int | None = None

    @property
    def memory(self) -> str:
        """The used and the available memory, as one phrase."""
        used = f"{self.memory_used >> 20} MiB of memory used"
        if self.memory_limit is None:
            return f"{used}, no maxmemory"
        return f"{used} of {self.memory_limit >> 20} MiB (maxmemory)"

    @property
    def is_short_of_memory(self) -> bool:
        """Whether a fifth of the memory or less is left. At the limit, webhooks are answered 503."""
        return self.memory_limit is not None and self.memory_used >= 0.8 * self.memory_limit

    @property
    def guarantee(self) -> str:
        """What an accepted update survives, as one phrase."""
        if self.appendonly is None:
            return "unknown: the server hides its configuration"
        if not self.appendonly:
            return "no accepted update survives a stop of Redis: it has no append-only file"
        if self.appendfsync == "always":
            return "accepted updates survive a kill of every process and a power cut (appendfsync always)"
        return (
            "accepted updates survive a kill of every process; a power cut can lose the last second "
            f"(appendfsync {self.appendfsync})"
        )

    def refusals(self, *, volatile_allowed: bool) -> list[str]:
        """Return why the relay must not run on this server, one sentence per reason; an empty list if it can."""
        reasons = []
        if self.version < MIN_VERSION:
            reasons.append(
                f"{self.server} {'.'.join(map(str, self.version))} is too old: the relay needs Redis 7.0, Valkey 8 or newer"
            )
        if self.eviction not in {None, "noeviction"}:
            reasons.append(
                f"maxmemory-policy is {self.eviction}, which removes accepted updates when memory is short: "
                "set `maxmemory-policy noeviction` in the server's configuration"
            )
        if self.appendonly is False and not volatile_allowed:
            reasons.append(
                "appendonly is off (`no`): a restart of Redis loses the accepted updates. Set `appendonly yes` in the "
                "server's configuration, or RELAY_VOLATILE=allow to accept that"
            )
        return reasons


def read_durability(connection: Connection) -> Durability:
    """Return what the server guarantees. Raises StoreUnavailableError if it does not answer."""
    info = parse_info(connection.call("INFO", "server")) | parse_info(connection.call("INFO", "memory"))
    version = info.get("valkey_version") or info.get("redis_version", "0")
    return Durability(
        server=info.get("server_name", "redis"),
        version=tuple(int(part) for part in version.split(".")[:2] if part.isdigit()),
        appendonly=_yes(read_setting(connection, "appendonly")),
        appendfsync=read_setting(connection, "appendfsync"),
        eviction=read_setting(connection, "maxmemory-policy"),
        memory_used=int(info.get("used_memory", 0)),
        memory_limit=int(info.get("maxmemory", 0)) or None,
    )


def parse_info(answer: object) -> dict[str, str]:
    """Return the fields of an answer to INFO. redis-py returns it as text or as a dict."""
    if isinstance(answer, dict):
        return {str(name): str(value) for name, value in answer.items()}
    pairs = (line.split(":", 1) for line in str(answer).splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def read_setting(connection: Connection, name: str) -> str | None:
    """Return a setting of the server, or None if the server hides its configuration."""
    try:
        answer = connection.call("CONFIG", "GET", name)
    except StoreUnavailableError:
        return None  # renamed or forbidden: the server hides its configuration
    if isinstance(answer, dict):
        return answer.get(name)
    return answer[1] if len(answer) > 1 else None


def _yes(text: str | None) -> bool | None:
    return None if text is None else text == "yes"
