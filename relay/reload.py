"""Keeps the catalogue current: looks at the folder now and then, and puts nothing bad in the place of a good version.

It reads the files themselves each time: what a copy, an editor's rename, `git pull` or a swapped symbolic link does to times and
inodes does not matter.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from relay.core.integration import Integration
from relay.core.mapping_file import parse_mapping_file
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.logs import log
from relay.mappings import Catalogue, MappingFile, mapping_paths, parse_mapping, read_mapping
from relay.sources import load_presets
from relay.store.last_good import LastGood

_LOG = logging.getLogger("relay.mappings")


class Reloader:
    """Looks at one folder for one process. `look` is called by one thread; others use the catalogue meanwhile."""

    def __init__(self, catalogue: Catalogue, folder: Path, last_good: LastGood, *, keeps: bool = True) -> None:
        """`keeps`: whether good versions are remembered, and changes logged: by who works with them, not by commands."""
        self._catalogue = catalogue
        self._folder = folder
        self._last_good = last_good
        self._keeps = keeps
        #: Digest of each file's content as it was read last.
        self._read: dict[str, str] = {}
        self._missing: set[str] = set()
        self._unkept: dict[str, str] = {}
        self._fault: str | None = None

    def start(
        self, stopping: threading.Event, *, every: float, looked: Callable[[bool], None] = lambda _changed: None
    ) -> None:
        """Look `every` so many seconds, in a thread, until `stopping` is set; tell `looked` each time whether it changed."""

        def run() -> None:
            while not stopping.wait(every):
                try:
                    looked(self.look())
                except Exception:  # noqa: BLE001 - the loop of a thread: a bug must not end reloading
                    _LOG.exception("a bug in reloading mapping files")

        threading.Thread(target=run, name="reloader", daemon=True).start()

    def look(self) -> bool:
        """Read what has changed in the folder; True where the catalogue is another one since."""
        before = {file.name: file for file in self._catalogue.files()}
        try:
            paths = mapping_paths(self._folder)
            fault = f"RELAY_MAPPINGS: the folder {self._folder} is empty" if before and not paths else None
        except ConfigurationError as error:
            paths, fault = [], error.problems[0]
        found = dict(before) if fault else self._read_files(paths, before)
        self._keep_good()
        if fault != self._fault and fault:
            self._tell(logging.ERROR, "mapping files cannot be read: those that are known work on", fault=fault)
        is_changed = found != before or fault != self._fault
        self._fault = fault
        if is_changed:
            self._catalogue.replace(found.values(), fault)
        return is_changed

    def _read_files(self, paths: list[Path], before: dict[str, MappingFile]) -> dict[str, MappingFile]:
        found: dict[str, MappingFile] = {}
        for path in paths:
            file = self._read_file(path, before)
            found[file.name] = file
        gone = before.keys() - found.keys()
        # An editor replaces a file by removing it for a moment: two looks count.
        for name in gone - self._missing:
            found[name] = before[name]
        for name in gone & self._missing:
            self._read.pop(name, None)
            self._tell(logging.WARNING, "mapping file removed", integration=name)
        self._missing = gone - self._missing
        return found

    def _read_file(self, path: Path, before: dict[str, MappingFile]) -> MappingFile:
        known = before.get(path.stem)
        try:
            content = path.read_bytes()
        except OSError:
            return self._at_work(read_mapping(path), known)
        digest = hashlib.sha256(content).hexdigest()
        if known and self._read.get(known.name) == digest and known.path == path:
            # Without any version that works there may be one in Redis by now.
            return known if known.integration else self._at_work(known, known)
        file = parse_mapping(path, content)
        self._read[file.name] = digest
        return self._at_work(file, known)

    def _at_work(self, file: MappingFile, known: MappingFile | None) -> MappingFile:
        """Return a file with the version of it that is at work: its own, or the last good one."""
        if not file.faults:
            if known is None or known.integration is None or file.integration != known.integration or known.faults:
                self._tell(
                    logging.INFO, "mapping file loaded", integration=file.name, mapping=_digest(file.integration)
                )
                self._unkept[file.name] = file.text
            return file
        good = known.integration if known else None
        if known is None or known.faults != file.faults:
            for complaint in file.complaints():
                self._tell(logging.ERROR, "mapping file refused", integration=file.name, fault=complaint)
        return replace(file, integration=good or self._load(file.name))

    def _load(self, name: str) -> Integration | None:
        try:
            text = self._last_good.load(name)
        except StoreUnavailableError:
            return None
        good = parse_mapping_file(name, text, load_presets()).integration if text else None
        if good:
            self._tell(logging.WARNING, "the last good version is at work", integration=name, mapping=good.digest)
        return good

    def _tell(self, level: int, message: str, **fields: object) -> None:
        if self._keeps:
            log(_LOG, level, message, **fields)

    def _keep_good(self) -> None:
        if not self._keeps:
            self._unkept.clear()
        for name, text in list(self._unkept.items()):
            try:
                self._last_good.keep(name, text)
            except StoreUnavailableError:
                return  # at the next look
            del self._unkept[name]


def _digest(integration: Integration | None) -> str | None:
    return integration.digest if integration else None
