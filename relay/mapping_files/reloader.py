"""Keeps the catalogue current: polls the folder, and never replaces a valid version with an invalid one.

Each poll reads the content of every file, because times and inodes are not reliable after a copy, an editor's rename, `git pull`
or a swapped symbolic link. A change takes effect when two polls have seen the same content, because a file can be half written.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from relay.clock import every
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.logs import log
from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.document import Fault
from relay.mapping_files.folder import MappingFile, mapping_paths, parse_mapping, read_content
from relay.store.last_good_store import LastGoodMappings

_LOG = logging.getLogger("relay.mappings")

#: Returns a fault for each missing secret that this process needs for a mapping.
MissingSecrets = Callable[[MappingFile], tuple[Fault, ...]]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file in the version that two polls saw. `digest` is that of its content, or of the reason why it could not be read."""

    digest: str
    file: MappingFile


class Reloader:
    """Watches one folder for one process. One thread calls `poll`; other threads use the catalogue meanwhile."""

    def __init__(
        self,
        catalogue: Catalogue,
        folder: Path,
        last_good: LastGoodMappings,
        *,
        missing: MissingSecrets = lambda _file: (),
        records_changes: bool = True,
    ) -> None:
        """`records_changes`: store valid versions in Redis, and log changes. Web and workers do this; commands do not."""
        self._catalogue = catalogue
        self._folder = folder
        self._last_good = last_good
        self._missing_secrets = missing
        self._records_changes = records_changes
        self._seen: dict[Path, _Seen] = {}
        #: Contents that only one poll has seen, and files and secrets that only one poll has missed.
        self._new: dict[Path, str] = {}
        self._gone: set[str] = set()
        self._lacking: set[str] = set()
        #: Versions to store, by integration; None: to delete.
        self._unstored: dict[str, str | None] = {}
        self._fault: str | None = None
        self._has_polled = False

    def start(
        self, stopping: threading.Event, *, within: float, polled: Callable[[bool], None] = lambda _changed: None
    ) -> None:
        """Poll in a thread until `stopping` is set. A change takes effect after two polls: `within` this number of seconds.

        `polled` is called after each poll, with whether anything changed.
        """

        def turn() -> None:
            polled(self.poll())

        every(within / 2, turn, name="reloader", stopping=stopping)

    def poll(self) -> bool:
        """Read the folder, and return whether the catalogue changed. The first call accepts every file at once."""
        before = {file.name: file for file in self._catalogue.files()}
        try:
            paths = mapping_paths(self._folder)
            fault = f"RELAY_MAPPINGS: the folder {self._folder} is empty" if before and not paths else None
        except ConfigurationError as error:
            paths, fault = [], error.problems[0]
        found = dict(before) if fault else self._read_files(paths, before)
        self._has_polled = True
        self._store_versions()
        if fault != self._fault and fault:
            self._log(logging.ERROR, "cannot read the mapping files: the known versions stay active", fault=fault)
        is_changed = found != before or fault != self._fault
        self._fault = fault
        if is_changed:
            self._catalogue.replace(found.values(), fault)
        return is_changed

    def _read_files(self, paths: list[Path], before: dict[str, MappingFile]) -> dict[str, MappingFile]:
        files = [file for path in paths if (file := self._read(path))]
        found = {file.name: self._choose(file, before.get(file.name)) for file in files}
        gone = before.keys() - found.keys()
        for name in gone - self._gone:
            found[name] = before[name]
        for name in gone & self._gone:
            self._unstored[name] = None
            self._log(logging.WARNING, "mapping file removed", integration=name)
        self._gone = gone - self._gone
        self._seen = {path: seen for path, seen in self._seen.items() if seen.file.name in found}
        return found

    def _read(self, path: Path) -> MappingFile | None:
        """Return a file in the version that two polls saw; None if only one poll has seen it."""
        content = read_content(path)
        raw = content.message.encode() if isinstance(content, Fault) else content
        digest, seen = hashlib.sha256(raw).hexdigest(), self._seen.get(path)
        if seen and seen.digest == digest:
            self._new.pop(path, None)
            return seen.file
        if self._has_polled and self._new.get(path) != digest:
            self._new[path] = digest
            return seen.file if seen else None
        self._new.pop(path, None)
        file = parse_mapping(path, content)
        self._seen[path] = _Seen(digest, file)
        return file

    def _choose(self, file: MappingFile, known: MappingFile | None) -> MappingFile:
        """Return a file with its active version: its own, or the last good one if it has faults."""
        chosen = self._with_faults(file, known)
        self._log_change(chosen, known)
        if not chosen.faults and (known is None or known.faults or known.text != chosen.text):
            self._unstored[chosen.name] = chosen.text
        return chosen

    def _with_faults(self, file: MappingFile, known: MappingFile | None) -> MappingFile:
        if file.faults:
            return self._with_last_good(file, file.faults, known)
        missing = self._missing_secrets(file)
        is_active = known is not None and known.integration == file.integration
        if not missing:
            self._lacking.discard(file.name)
            return file
        if is_active and file.name not in self._lacking:
            self._lacking.add(file.name)
            assert known
            return known
        return replace(file, faults=missing) if is_active else self._with_last_good(file, missing, known)

    def _with_last_good(self, file: MappingFile, faults: tuple[Fault, ...], known: MappingFile | None) -> MappingFile:
        good = known if known and known.integration else self._load_last_good(file)
        if good is None:
            return replace(file, faults=faults)
        return replace(file, faults=faults, integration=good.integration, document=good.document)

    def _load_last_good(self, file: MappingFile) -> MappingFile | None:
        """Return the last good version from Redis; None if it is not usable either."""
        try:
            text = self._last_good.load(file.name)
        except StoreUnavailableError:
            return None
        good = parse_mapping(file.path, text.encode()) if text else None
        if good is None or good.integration is None or good.faults or self._missing_secrets(good):
            return None
        self._log(
            logging.WARNING,
            "the last good version of a mapping file is active",
            integration=good.name,
            mapping=good.integration.digest,
        )
        return good

    def _log_change(self, file: MappingFile, known: MappingFile | None) -> None:
        before = known.faults if known else ()
        if file.faults and file.faults != before:
            for fault in file.formatted_faults():
                self._log(logging.ERROR, "mapping file refused", integration=file.name, fault=fault)
        if not file.faults and (known is None or before or known.integration != file.integration):
            digest = file.integration.digest if file.integration else None
            self._log(logging.INFO, "mapping file loaded", integration=file.name, mapping=digest)

    def _log(self, level: int, message: str, **fields: object) -> None:
        if self._records_changes:
            log(_LOG, level, message, **fields)

    def _store_versions(self) -> None:
        """Store the new valid versions, and delete those of removed files."""
        if not self._records_changes:
            self._unstored.clear()
        for name, text in list(self._unstored.items()):
            try:
                if text is None:
                    self._last_good.expire(name)
                else:
                    self._last_good.save(name, text)
            except StoreUnavailableError:
                return  # the next poll tries again
            del self._unstored[name]
