"""Secrets that mapping files refer to (`{env: NAME}`, `{file: PATH}`), and small files, read with a limit and without waiting."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from relay.core.integration import Env, File, Plain, Text
from relay.core.redact import Redactor
from relay.core.values import is_text
from relay.errors import SecretMissingError

#: A longer file is no secret (bytes).
_MOST_BYTES = 64 << 10
#: A file whose times tell nothing of a change is read again after this (seconds): they are coarse on some file systems.
_READ_AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class _Known:
    stamp: tuple[int, int, int]
    value: str
    read_at: float


class SecretReader:
    """Reads secrets, and tells `redactor` each one that it read, so that none reaches a log. Threads share it."""

    def __init__(
        self, environ: Mapping[str, str], redactor: Redactor, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._environ = environ
        self._redactor = redactor
        self._monotonic = monotonic
        self._files: dict[str, _Known] = {}

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
                    raise SecretMissingError(f"the environment variable {name} is not set: set it and start again")
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
            known = self._files.get(path)
            if known and known.stamp == stamp and now - known.read_at < _READ_AGAIN:
                return known.value
            value = read_small_file(path, _MOST_BYTES).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise SecretMissingError(f"the secret file {path} is not UTF-8 text") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no file can have that name"
            raise SecretMissingError(f"the secret file {path} cannot be read: {reason}") from None
        if not value:
            raise SecretMissingError(f"the secret file {path} is empty")
        self._files[path] = _Known(stamp, value, now)
        return value


def read_small_file(path: Path | str, most: int) -> bytes:
    """Return the content of a regular file of up to `most` bytes.

    Raises:
        OSError: it cannot be read; it is no regular file (reading a pipe would wait for somebody to write); it is larger.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL, or half a surrogate pair
        raise OSError(errno.EINVAL, "no file can have that name") from error
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "it is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most >> 10} KiB")
    return content
