"""The integrations of a process, by name: the mapping files of the folder, or their last good versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from relay.core.integration import Integration
from relay.mapping_files.folder import MappingFile


class Catalogue:
    """Finds mapping files by the names of their integrations. Safe to read from several threads."""

    def __init__(self, files: list[MappingFile], fault: str | None = None, folder: Path | None = None) -> None:
        """`fault` is the reason why the folder could not be read; the integrations are then unknown."""
        self._folder = folder
        self._files = {file.name: file for file in files}
        self.fault = fault

    def replace(self, files: Iterable[MappingFile], fault: str | None) -> None:
        """Replace all files at once."""
        self._files, self.fault = {file.name: file for file in files}, fault

    def find(self, name: str) -> MappingFile | None:
        """Return the file of integration `name`, usable or not, or None."""
        return self._files.get(name)

    def files(self) -> list[MappingFile]:
        """Return every file, usable or not, by name."""
        return [self._files[name] for name in sorted(self._files)]

    def has_file_now(self, name: str) -> bool:
        """Return whether a file of integration `name` exists now, read or not."""
        return self._folder is not None and (self._folder / f"{name}.yaml").exists()

    def usable(self) -> Iterator[Integration]:
        """Yield the usable integrations, enabled or not."""
        return (file.integration for file in self._files.values() if file.integration)

    def broken(self) -> list[MappingFile]:
        """Return the files with faults."""
        return [file for file in self._files.values() if file.faults]
