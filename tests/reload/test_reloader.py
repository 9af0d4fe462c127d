"""Whatever happens to the folder of mapping files: what is good is taken, what is bad is not. Real files, real Redis."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from store.bench import MAPPING

from relay.mappings import Catalogue
from relay.reload import Reloader
from relay.store.connection import Connection
from relay.store.last_good import LastGood

BROKEN = "source: servicenow\nstats: {6: 6}\n"
FAILING = MAPPING + "tests: [{name: it is not so, payload: {sys_id: x, state: 6}, expect: {state: 7}}]\n"


class Process:
    """A process that works with the folder."""

    def __init__(self, folder: Path, redis: Connection, *, keeps: bool = True) -> None:
        self.catalogue = Catalogue([], folder=folder)
        self.reloader = Reloader(self.catalogue, folder, LastGood(redis), keeps=keeps)
        self.reloader.look()

    def look(self, times: int = 1) -> list[bool]:
        return [self.reloader.look() for _ in range(times)]

    @property
    def customers(self) -> dict[str, str]:
        """The IEM customer of each usable integration: what tells its versions apart."""
        return {one.name: one.iem.customer_id for one in self.catalogue.usable()}

    @property
    def broken(self) -> list[str]:
        return [file.name for file in self.catalogue.broken()]


def version(customer: str) -> str:
    return MAPPING.replace("ACME", customer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mappings"
    folder.mkdir()
    (folder / "acme.yaml").write_text(version("one"))
    (folder / "other.yaml").write_text(version("other"))
    return folder


@pytest.fixture
def process(folder: Path, redis: Connection) -> Process:
    return Process(folder, redis)


def test_nothing_changes_where_nothing_was_changed(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").touch()

    assert process.look(3) == [False, False, False]


def test_new_and_changed_files_are_taken(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").write_text(version("two"))
    (folder / "new.yaml").write_text(version("new"))

    assert process.look() == [True]
    assert process.customers == {"acme": "two", "other": "other", "new": "new"}


def test_a_change_that_keeps_size_and_time_is_taken(folder: Path, process: Process) -> None:
    path = folder / "acme.yaml"
    status = path.stat()
    path.write_text(version("two"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    process.look()

    assert process.customers["acme"] == "two"


def test_an_editor_that_renames_a_file_over_the_old_one(folder: Path, process: Process) -> None:
    (folder / ".acme.yaml.swp").write_text("half a fi")
    (folder / "acme.yaml~").write_text(version("one"))
    (folder / "acme.yaml").rename(folder / "acme.yaml.bak")
    looks = process.look()
    (folder / "new").write_text(version("two"))
    (folder / "new").rename(folder / "acme.yaml")

    assert looks == [False], "gone for one look is not removed"
    assert process.look() == [True]
    assert process.customers == {"acme": "two", "other": "other"}


def test_a_folder_whose_symbolic_links_are_swapped_at_once(tmp_path: Path, redis: Connection) -> None:
    # As Kubernetes mounts a ConfigMap: acme.yaml -> ..data/acme.yaml, ..data -> ..2026_1
    mount = tmp_path / "mount"
    for number, customer in (("..1", "one"), ("..2", "two")):
        (mount / number).mkdir(parents=True)
        (mount / number / "acme.yaml").write_text(version(customer))
    (mount / "..data").symlink_to("..1")
    (mount / "acme.yaml").symlink_to("..data/acme.yaml")
    process = Process(mount, redis)
    (mount / "..tmp").symlink_to("..2")
    (mount / "..tmp").rename(mount / "..data")

    assert process.look() == [True]
    assert process.customers == {"acme": "two"}


@pytest.mark.parametrize("content", [BROKEN, FAILING, "", "\t- :", "source: [", b"\xff\xfe"])
def test_a_bad_edit_keeps_the_last_good_version_at_work(folder: Path, process: Process, content: str | bytes) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / "acme.yaml").write_bytes(raw)

    assert process.look(2) == [True, False]
    assert process.customers == {"acme": "one", "other": "other"}
    assert process.broken == ["acme"]
    found = process.catalogue.find("acme")
    assert found is not None
    assert found.complaints()[0].startswith(f"{folder}/acme.yaml:")


def test_a_mended_file_is_taken(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").write_text(BROKEN)
    process.look()
    (folder / "acme.yaml").write_text(version("two"))

    assert process.look() == [True]
    assert (process.customers["acme"], process.broken) == ("two", [])


def test_a_bad_edit_that_is_taken_back_is_good_again(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").write_text(BROKEN)
    process.look()
    (folder / "acme.yaml").write_text(version("one"))

    assert process.look() == [True]
    assert process.broken == []


def test_the_last_good_version_outlives_a_restart(folder: Path, process: Process, redis: Connection) -> None:
    (folder / "acme.yaml").write_text(version("two"))
    process.look()
    (folder / "acme.yaml").write_text(BROKEN)

    restarted = Process(folder, redis)

    assert restarted.customers == {"acme": "two", "other": "other"}
    assert restarted.broken == ["acme"]


def test_without_redis_it_waits_for_the_last_good_version(folder: Path, process: Process, redis: Connection) -> None:
    class Away(LastGood):
        """The last good versions, of a Redis that can be away."""

        is_away = True

        def load(self, integration: str) -> str | None:
            return (
                Connection(f"unix://{folder}/nothing.sock", timeout=1).call("GET")
                if self.is_away
                else super().load(integration)
            )

    (folder / "acme.yaml").write_text(BROKEN)
    catalogue, last_good = Catalogue([], folder=folder), Away(redis)
    reloader = Reloader(catalogue, folder, last_good)
    reloader.look()
    usable_before = [one.name for one in catalogue.usable()]
    last_good.is_away = False

    assert reloader.look()
    assert usable_before == ["other"]
    assert [one.name for one in catalogue.usable()] == ["acme", "other"]


def test_a_file_that_never_was_good_is_of_no_use_and_says_so(folder: Path, process: Process) -> None:
    (folder / "new.yaml").write_text(BROKEN)

    process.look()

    assert "new" not in process.customers
    assert process.broken == ["new"]


def test_a_removed_file_counts_after_two_looks(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").unlink()

    assert process.look(3) == [False, True, False]
    assert process.customers == {"other": "other"}


def test_an_empty_or_missing_folder_removes_nothing(folder: Path, process: Process) -> None:
    for path in folder.iterdir():
        path.unlink()
    process.look(3)
    empty, told = process.customers, process.catalogue.fault
    shutil.rmtree(folder)
    process.look(3)

    assert empty == process.customers == {"acme": "one", "other": "other"}
    assert told is not None
    assert "empty" in told
    folder.mkdir()
    (folder / "acme.yaml").write_text(version("two"))
    (folder / "other.yaml").write_text(version("other"))
    process.look()
    assert (process.customers["acme"], process.catalogue.fault) == ("two", None)


def test_a_command_that_only_looks_replaces_no_good_version(folder: Path, process: Process, redis: Connection) -> None:
    (folder / "acme.yaml").write_text(version("tried"))
    Process(folder, redis, keeps=False)
    (folder / "acme.yaml").write_text(BROKEN)

    assert Process(folder, redis).customers["acme"] == "one"
