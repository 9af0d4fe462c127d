"""The integrations that a process works with, by name: the folder's mapping files, or their last good versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from relay.core.integration import Integration
from relay.mapping_files.folder import MappingFile


class Catalogue:
    """The integrations that a process works with, by name."""

    def __init__(self, files: list[MappingFile], fault: str | None = None, folder: Path | None = None) -> None:
        """`fault`: why the folder could not be read; which integrations there are is not known then."""
        self._folder = folder
        self._files = {file.name: file for file in files}
        self.fault = fault

    def replace(self, files: Iterable[MappingFile], fault: str | None) -> None:
        """Have all who use this catalogue see other files from now on; threads may look at it meanwhile."""
        self._files, self.fault = {file.name: file for file in files}, fault

    def find(self, name: str) -> MappingFile | None:
        """Return the file of integration `name`, usable or not, or None where there is none."""
        return self._files.get(name)

    def files(self) -> list[MappingFile]:
        """Return every file, usable or not, by name."""
        return [self._files[name] for name in sorted(self._files)]

    def has_file_now(self, name: str) -> bool:
        """Tell whether there is a file of integration `name` by now, read or not."""
        return self._folder is not None and (self._folder / f"{name}.yaml").exists()

    def usable(self) -> Iterator[Integration]:
        """Return the integrations whose files are good, enabled or not."""
        return (file.integration for file in self._files.values() if file.integration)

    def broken(self) -> list[MappingFile]:
        """Return the files that have faults."""
        return [file for file in self._files.values() if file.faults]
