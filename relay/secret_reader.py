"""Reading what mapping files refer to: `{env: NAME}` and `{file: PATH}`. A file that changes is read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from relay.core.integration import Env, File, Plain, Text
from relay.core.redact import Redactor
from relay.errors import SecretMissingError


class SecretReader:
    """Reads secrets, and tells `redactor` each one that it read, so that none reaches a log."""

    def __init__(self, environ: Mapping[str, str], redactor: Redactor) -> None:
        self._environ = environ
        self._redactor = redactor
        self._files: dict[str, tuple[tuple[int, int, int], str]] = {}

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
            case File(path=path):
                value = self._read_file(path)
        self._redactor.add(value)
        return value

    def _read_file(self, path: str) -> str:
        try:
            status = Path(path).stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._files.get(path)
            if known and known[0] == stamp:
                return known[1]
            value = Path(path).read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise SecretMissingError(f"the secret file {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SecretMissingError(f"the secret file {path} is not UTF-8 text") from None
        if not value:
            raise SecretMissingError(f"the secret file {path} is empty")
        self._files[path] = (stamp, value)
        return value
