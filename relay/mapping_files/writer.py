"""Writes a new mapping file to a folder that a running relay can be polling."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
from pathlib import Path

from relay.errors import DraftError
from relay.mapping_files.draft import Draft, write_draft
from relay.mapping_files.folder import MappingFile, parse_mapping
from relay.mapping_files.sources import load_template

#: An editor with the YAML language server checks files that begin with this line.
SCHEMA_NAME = "schema.json"
_SCHEMA_LINE = f"# yaml-language-server: $schema={SCHEMA_NAME}\n"


def compose(draft: Draft, path: Path) -> MappingFile:
    """Return the file for `draft` at `path`, not written yet. It names the JSON Schema in the same folder, if there is one.

    Raises:
        DraftError: the file would have faults.
    """
    schema_line = _SCHEMA_LINE if (path.parent / SCHEMA_NAME).is_file() else ""
    file = parse_mapping(path, (schema_line + write_draft(draft, load_template)).encode())
    if file.faults:
        raise DraftError(
            "\n".join(["the mapping file from these answers would not be valid:", *file.formatted_faults()])
        )
    return file


def check_place(path: Path) -> None:
    """Check, as far as possible in advance, that a new file can be written to `path`.

    Raises:
        DraftError: an integration with this name exists, or the folder is missing or not writable.
    """
    folder = path.parent
    if not os.path.isdir(folder):  # noqa: PTH112 - pathlib's raises if a parent folder cannot be accessed
        raise DraftError(
            f"the folder {folder} does not exist: create it (mkdir -p {shlex.quote(str(folder))}), or use another folder"
        )
    for other in (path.with_suffix(".yaml"), path.with_suffix(".yml")):
        if os.path.lexists(other):
            raise _exists(other)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DraftError(f"this user cannot write to the folder {folder}")


def _exists(path: Path) -> DraftError:
    return DraftError(f"{path} already exists, and was not changed: edit it, or choose another name")


def write_new(path: Path, text: str) -> None:
    """Write the file atomically: no reader sees a part of it, and an existing file is not replaced.

    Raises:
        DraftError: nothing was written.
    """
    check_place(path)
    # Files whose names begin with "." are not loaded, so a file that remains after a kill does no harm.
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with hidden.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(hidden, path)  # unlike a rename, it fails if the file exists
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise DraftError(f"cannot write {path}: {reason}. Use --output - to print it instead") from None
    finally:
        with contextlib.suppress(OSError):
            hidden.unlink()
