"""Mapping files for tests, and what the parser reports about them."""

from __future__ import annotations

from pathlib import Path

from relay.core.integration import Integration
from relay.mapping_files.document import DocumentPath, read_document
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets

#: A mapping file with every block, and almost every key.
FULL = Path(__file__).parents[1].joinpath("full-mapping.yaml").read_text("utf-8")
TICKET = "9d385017c611228701d22104cc95c371"
IEM = """\
iem:
  url: https://iem.example.com
  customer_id: ACME
  integration_id: "42"
  username: relay@example.com
  password: {env: ACME_IEM_PASSWORD}
"""
MINIMAL = f"source: servicenow\nauth: none\n{IEM}"
#: The line after MINIMAL.
NEXT = MINIMAL.count("\n") + 1


def faults_of(text: str) -> list[str]:
    """Return `line:column: message` for each fault."""
    parsed = parse_mapping_file("acme", text, load_presets())
    assert (parsed.integration is None) == bool(parsed.faults)
    return [f"{fault.position.line}:{fault.position.column}: {fault.message}" for fault in parsed.faults]


def parse(text: str) -> Integration:
    """Return the integration of a text without faults."""
    parsed = parse_mapping_file("acme", text, load_presets())
    assert parsed.faults == ()
    assert parsed.integration is not None
    return parsed.integration


def warnings_of(text: str) -> list[str]:
    """Return `line:column: message` for each warning about a text without faults, with lines counted from the end of MINIMAL."""
    parsed = parse_mapping_file("acme", text, load_presets())
    assert parsed.integration, parsed.faults
    before = NEXT - 1 if text.startswith(MINIMAL) else 0
    return [f"{fault.position.line - before}:{fault.position.column}: {fault.message}" for fault in parsed.warnings]


def faults_after_minimal(*lines: str) -> list[str]:
    """Return the faults of MINIMAL followed by `lines`, which are counted from 1."""
    found = []
    for fault in faults_of(MINIMAL + "\n".join(lines) + "\n"):
        line, _, rest = fault.partition(":")
        found.append(f"{int(line) - NEXT + 1}:{rest}")
    return found


def keys_of_the_schema(text: str) -> list[DocumentPath]:
    """Return the paths of the keys that a schema declares: not states, tables or keys in a payload."""
    named = []
    for path in read_document(text).keys:
        if path[:1] == ("states",) or path[:-1] == ("tables",) or "payload" in path[:-1] or path[2:3] == ("states",):
            named += [path] if path[-1] == "states" else []
        else:
            named.append(path)
    return named


NOT_SECRET = "do not write a secret into this file: write {env: NAME} or {file: PATH} instead"
NO_DURATION = "is not a duration: write a number and a unit, such as 30s, 10m, 24h or 30d"
WANTS_KEYS = "expected keys and values (key: value), indented below"
