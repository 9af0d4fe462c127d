"""Reads the secrets that mapping files refer to (`{env: NAME}`, `{file: PATH}`), and other small files, without blocking."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from relay.core.redact import Redactor
from relay.core.references import Env, File, Plain, Text
from relay.core.values import is_text
from relay.errors import SecretMissingError

#: The largest secret file (bytes).
_MAX_BYTES = 64 << 10
#: A file with an unchanged time stamp is read again after this (seconds): some file systems have coarse time stamps.
_REREAD_AFTER = 2.0


@dataclass(frozen=True, slots=True)
class _CachedSecret:
    stamp: tuple[int, int, int]
    value: str
    read_at: float


class SecretReader:
    """Reads secrets, and registers each with `redactor`, so that none reaches a log. Thread-safe."""

    def __init__(
        self, environ: Mapping[str, str], redactor: Redactor, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._environ = environ
        self._redactor = redactor
        self._monotonic = monotonic
        self._files: dict[str, _CachedSecret] = {}

    def read(self, text: Text) -> str:
        """Return the value that `text` refers to.

        Raises:
            SecretMissingError: the variable is not set, or the file cannot be read or is empty.
        """
        match text:
            case Plain(text=plain):
                return plain
            case Env(name=name):
                value = self._environ.get(name, "")
                if not value:
                    raise SecretMissingError(f"the environment variable {name} is not set: set it and restart")
                if not is_text(value):
                    raise SecretMissingError(f"the environment variable {name} is not UTF-8 text")
            case File(path=path):
                value = self._read_file(path)
        self._redactor.add(value)
        return value

    def _read_file(self, path: str) -> str:
        try:
            status = Path(path).stat()
            stamp, now = (status.st_mtime_ns, status.st_size, status.st_ino), self._monotonic()
            cached = self._files.get(path)
            if cached and cached.stamp == stamp and now - cached.read_at < _REREAD_AFTER:
                return cached.value
            value = read_small_file(path, _MAX_BYTES).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise SecretMissingError(f"the secret file {path} is not UTF-8 text") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "invalid file name"
            raise SecretMissingError(f"the secret file {path} cannot be read: {reason}") from None
        if not value:
            raise SecretMissingError(f"the secret file {path} is empty")
        self._files[path] = _CachedSecret(stamp, value, now)
        return value


def read_small_file(path: Path | str, limit: int) -> bytes:
    """Return the content of a regular file of up to `limit` bytes.

    Raises:
        OSError: the file cannot be read, is larger, or is not a regular file (reading a pipe would block).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL, or half a surrogate pair
        raise OSError(errno.EINVAL, "invalid file name") from error
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "it is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit >> 10} KiB")
    return content
