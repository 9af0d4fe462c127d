"""The use case: put a new mapping file into a folder that a running relay may be looking at."""

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

#: An editor with the YAML language server checks a file that begins with this.
SCHEMA_NAME = "schema.json"
_SCHEMA_LINE = f"# yaml-language-server: $schema={SCHEMA_NAME}\n"


def compose(draft: Draft, path: Path) -> MappingFile:
    """Return the file that `draft` comes to at `path`, not written yet. It names the JSON Schema that lies beside it.

    Raises:
        DraftError: it would have faults.
    """
    schema_line = _SCHEMA_LINE if (path.parent / SCHEMA_NAME).is_file() else ""
    file = parse_mapping(path, (schema_line + write_draft(draft, load_template)).encode())
    if file.faults:
        raise DraftError("\n".join(["these answers make no good mapping file:", *file.complaints()]))
    return file


def check_place(path: Path) -> None:
    """See whether a new file can be written to `path`, as far as that can be told before.

    Raises:
        DraftError: an integration of this name is there, or the folder is missing or cannot be written to.
    """
    folder = path.parent
    if not os.path.isdir(folder):  # noqa: PTH112 - pathlib's raises where a folder above may not be looked into
        raise DraftError(f"there is no folder {folder}: make it (mkdir -p {shlex.quote(str(folder))}), or name another")
    for other in (path.with_suffix(".yaml"), path.with_suffix(".yml")):
        if os.path.lexists(other):
            raise _there_is(other)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DraftError(f"the folder {folder} cannot be written to by this user")


def _there_is(path: Path) -> DraftError:
    return DraftError(f"there is {path} already, and it stays as it is: edit it, or choose another name")


def write_new(path: Path, text: str) -> None:
    """Write the file at once and whole: nobody sees a part of it, and one that is there already stays as it is.

    Raises:
        DraftError: nothing was written.
    """
    check_place(path)
    # A name that begins with "." is no integration's: what a kill leaves behind is never loaded.
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with hidden.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(hidden, path)  # unlike a rename it fails where the file is there
    except FileExistsError:
        raise _there_is(path) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise DraftError(f"{path} cannot be written: {reason}. With --output - it is printed instead") from None
    finally:
        with contextlib.suppress(OSError):
            hidden.unlink()
