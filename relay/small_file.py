"""Reading files that people put there, mapping files and secrets: never waiting for one, and never more than makes sense."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


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
