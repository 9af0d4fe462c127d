"""What each ITSM source's records look like by default: data files, merged under an integration's own keys.

To add a source: add `<source>.yaml` here and its name to `SOURCES` in `relay.mapping_files.schema`. `new/` holds the
templates of new mapping files: one per source, and the blocks that they share.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from relay.mapping_files.document import read_document
from relay.mapping_files.schema import SOURCES


@cache
def load_presets() -> Mapping[str, Mapping[str, Any]]:
    """Return each source's defaults of `records`, `fields`, `sys_id_pattern` and `states`, unparsed."""
    return {
        source: read_document(files(__name__).joinpath(f"{source}.yaml").read_text("utf-8")).tree for source in SOURCES
    }


def load_template(name: str) -> str:
    """Return a template of a new mapping file: of a source, or of a block such as `auth-basic`."""
    return files(__name__).joinpath("new", f"{name}.yaml").read_text("utf-8")
