"""The folder of mapping files: its integrations, and the faults of each file. `reloader` keeps them current."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from relay.core.integration import Integration
from relay.errors import ConfigurationError
from relay.mapping_files.document import Document, Fault
from relay.mapping_files.parser import check_name, parse_mapping_file
from relay.mapping_files.positions import Position
from relay.mapping_files.sources import load_presets
from relay.secrets import read_small_file

#: Larger files are refused (bytes). A mapping file has a few KiB; one of this size takes a second to read.
_MAX_BYTES = 128 << 10


@dataclass(frozen=True, slots=True)
class MappingFile:
    """One file of the folder, with its integration and its faults.

    If it has both, the integration is the last good version.
    """

    name: str
    path: Path
    integration: Integration | None = None
    faults: tuple[Fault, ...] = ()
    #: The positions of keys and values; None if the file could not be read.
    document: Document | None = None
    #: The content of the file, if it is UTF-8.
    text: str = ""
    #: Keys that are probably mistakes; they do not make the file invalid.
    warnings: tuple[Fault, ...] = ()

    def formatted_faults(self) -> list[str]:
        """Return `path:line:column: message` for each fault."""
        return [self.format_fault(fault) for fault in self.faults]

    def format_fault(self, fault: Fault) -> str:
        """Return `path:line:column: message`."""
        return f"{self.path}:{fault.position.line}:{fault.position.column}: {fault.message}"


def read_mappings(folder: Path) -> list[MappingFile]:
    """Return every mapping file of `folder`, by name. A file with faults is returned with them.

    Raises:
        ConfigurationError: the folder cannot be read.
    """
    return [read_mapping(path) for path in mapping_paths(folder)]


def mapping_paths(folder: Path) -> list[Path]:
    """Return the folder's mapping files, by name.

    Raises:
        ConfigurationError: the folder cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith(("_", ".")))
    except OSError as error:
        raise ConfigurationError([f"RELAY_MAPPINGS: the folder {folder} cannot be read: {error.strerror}"]) from None
    return [path for path in paths if path.suffix.lower() in {".yaml", ".yml"}]


def read_mapping(path: Path) -> MappingFile:
    """Return the mapping file at `path`, parsed."""
    return parse_mapping(path, read_content(path))


def read_content(path: Path) -> bytes | Fault:
    """Return the content of a mapping file, or the reason why it cannot be read."""
    try:
        return read_small_file(path, _MAX_BYTES)
    except OSError as error:
        return _fault(f"the file cannot be read: {error.strerror}")


def parse_mapping(path: Path, content: bytes | Fault) -> MappingFile:
    """Return the mapping file with this content, which was read from `path`."""
    name = name_of(path)
    if fault := _check_name(name, path):
        return MappingFile(name, path, faults=(fault,))
    if isinstance(content, Fault):
        return MappingFile(name, path, faults=(content,))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return MappingFile(name, path, faults=(_fault(f"the file is not UTF-8 text (byte {error.start})"),))
    parsed = parse_mapping_file(name, text, load_presets())
    return MappingFile(
        name, path, parsed.integration, parsed.faults, parsed.document, text=text, warnings=parsed.warnings
    )


def name_of(path: Path) -> str:
    """Return the name of the integration that the file at `path` describes, without the `_` and `.example` of a draft."""
    if path.suffix != ".yaml":
        return path.name  # must not replace the integration with the similar name
    return path.stem.removesuffix(".example").lstrip("_") if path.name.startswith("_") else path.stem


def _check_name(name: str, path: Path) -> Fault | None:
    if path.suffix != ".yaml":
        return _fault(f"only files that end in .yaml are read: rename this file to {path.stem}.yaml")
    problem = check_name(name)
    return _fault(problem) if problem else None


def _fault(message: str) -> Fault:
    return Fault(Position(1, 1), message)
