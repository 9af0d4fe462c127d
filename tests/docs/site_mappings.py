"""The mapping files on the pages, and blocks of them."""

from __future__ import annotations

import re

from docs.markdown import PAGES, blocks, read_text, section

from relay.core.integration import Integration
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.schema import MappingSchema
from relay.mapping_files.sources import load_presets

REFERENCE = "docs/mapping-files/reference.md"
#: Shown because of its faults.
BROKEN = "mappings/broken.yaml"
_FIRST_KEY = re.compile(r"^(\w+):", re.MULTILINE)


def shortest_file() -> str:
    """Return the shortest mapping file that works."""
    (block,) = blocks(section("The shortest file", REFERENCE))
    return block.text


def integration_of(text: str) -> Integration:
    """Return the integration that a good mapping file describes."""
    parsed = parse_mapping_file("acme", text, load_presets())
    assert parsed.integration, parsed.faults
    return parsed.integration


def whole_files() -> list[str]:
    """Return the mapping files on the pages that are meant to be good."""
    return [text for text in _yaml_blocks() if _is_whole(text)]


def parts() -> list[str]:
    """Return the blocks on the pages that are meant to be added to a mapping file."""
    keys = {field.data_key or name for name, field in MappingSchema().fields.items()}
    return [text for text in _yaml_blocks() if not _is_whole(text) and _first_key(text) in keys]


def _yaml_blocks() -> list[str]:
    found = [block for page in PAGES for block in blocks(read_text(page)) if block.language == "yaml"]
    return [block.text for block in found if block.title != BROKEN]


def _is_whole(text: str) -> bool:
    return re.search(r"^source:", text, re.MULTILINE) is not None


def _first_key(text: str) -> str | None:
    found = _FIRST_KEY.search(text)
    return found[1] if found else None
