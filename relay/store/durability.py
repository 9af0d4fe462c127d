"""What a Redis server's own settings promise: version, append-only file, fsync, eviction; and how much memory it has left."""

from __future__ import annotations

from dataclasses import dataclass

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection

LEAST_VERSION = (7, 0)


@dataclass(frozen=True, slots=True)
class Durability:
    """What the server says of itself; None where it hides it."""

    server: str
    version: tuple[int, ...]
    appendonly: bool | None
    appendfsync: str | None
    eviction: str | None
    #: Bytes; the limit is None where there is none.
    memory_used: int = 0
    memory_limit: int | None = None

    @property
    def memory(self) -> str:
        """How much memory is left, in one sentence."""
        used = f"{self.memory_used >> 20} MiB of memory used"
        if self.memory_limit is None:
            return f"{used}, no maxmemory"
        return f"{used} of {self.memory_limit >> 20} MiB (maxmemory)"

    @property
    def is_short_of_memory(self) -> bool:
        """Whether a fifth or less is left: at the limit webhooks are answered 503."""
        return self.memory_limit is not None and self.memory_used >= 0.8 * self.memory_limit

    @property
    def promise(self) -> str:
        """What an accepted update survives, in one sentence."""
        if self.appendonly is None:
            return "unknown: the server hides its configuration"
        if not self.appendonly:
            return "nothing survives a stop of Redis: it has no append-only file"
        if self.appendfsync == "always":
            return "accepted updates survive a kill of everything and a power cut (appendfsync always)"
        return f"accepted updates survive a kill of everything; a power cut can cost a second (appendfsync {self.appendfsync})"

    def refusals(self, *, volatile_allowed: bool) -> list[str]:
        """Return why the relay must not run on this server, a sentence each; an empty list where it may."""
        found = []
        if self.version < LEAST_VERSION:
            found.append(
                f"{self.server} {'.'.join(map(str, self.version))} is too old: Redis 7.0 or Valkey 8 is the oldest that works"
            )
        if self.eviction not in {None, "noeviction"}:
            found.append(
                f"maxmemory-policy is {self.eviction}, which drops what was accepted when memory is short: "
                "set `maxmemory-policy noeviction` in the server's configuration"
            )
        if self.appendonly is False and not volatile_allowed:
            found.append(
                "appendonly is no, so that a restart of Redis loses what was accepted: set `appendonly yes` in the "
                "server's configuration, or RELAY_VOLATILE=allow to run without"
            )
        return found


def read_durability(connection: Connection) -> Durability:
    """Return what the server promises. Raises StoreUnavailableError where it does not answer."""
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
    """Return what an answer to INFO holds, whatever form the client gave it."""
    if isinstance(answer, dict):
        return {str(name): str(value) for name, value in answer.items()}
    pairs = (line.split(":", 1) for line in str(answer).splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def read_setting(connection: Connection, name: str) -> str | None:
    """Return one of the server's settings; None where it hides them."""
    try:
        answer = connection.call("CONFIG", "GET", name)
    except StoreUnavailableError:
        return None  # renamed or forbidden: the server hides its configuration
    if isinstance(answer, dict):
        return answer.get(name)
    return answer[1] if len(answer) > 1 else None


def _yes(text: str | None) -> bool | None:
    return None if text is None else text == "yes"
