"""The presets: what the records of each ITSM source look like by default. A mapping file's own keys override them.

To add a source, add `<source>.yaml` here and its name to `Source` in `relay.core.integration`. `new/` has the templates of new
mapping files: one per source, and the blocks that they share.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from relay.core.integration import SOURCES
from relay.mapping_files.document import read_document


@cache
def load_presets() -> Mapping[str, Mapping[str, Any]]:
    """Return the defaults of `records`, `fields`, `sys_id_pattern` and `states` by source, unparsed."""
    return {
        source: read_document(files(__name__).joinpath(f"{source}.yaml").read_text("utf-8")).tree for source in SOURCES
    }


def load_template(name: str) -> str:
    """Return a template of a new mapping file: for a source, or for a block such as `auth-basic`."""
    return files(__name__).joinpath("new", f"{name}.yaml").read_text("utf-8")
