"""The reloader makes valid versions active and invalid ones not, whatever happens to the folder. Real files, real Redis."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from store.bench import MAPPING

from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.document import Fault
from relay.mapping_files.folder import MappingFile
from relay.mapping_files.positions import Position
from relay.mapping_files.reloader import MissingSecrets, Reloader
from relay.operations.dry_run import DryRun
from relay.store.connection import Connection
from relay.store.keys import key
from relay.store.last_good_store import LastGoodMappings

BROKEN = "source: servicenow\nstats: {6: 6}\n"
FAILING = MAPPING + "tests: [{name: it is not so, payload: {sys_id: x, state: 6}, expect: {state: 7}}]\n"


class Process:
    """A process that watches the folder."""

    def __init__(
        self,
        folder: Path,
        redis: Connection,
        *,
        records_changes: bool = True,
        missing: MissingSecrets = lambda _file: (),
    ) -> None:
        self.catalogue = Catalogue([], folder=folder)
        self.reloader = Reloader(
            self.catalogue, folder, LastGoodMappings(redis), missing=missing, records_changes=records_changes
        )
        self.reloader.poll()

    def poll(self, times: int = 1) -> list[bool]:
        return [self.reloader.poll() for _ in range(times)]

    @property
    def customers(self) -> dict[str, str]:
        """The IEM customer of each usable integration, by which its versions differ."""
        return {integration.name: integration.iem.customer_id for integration in self.catalogue.usable()}

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


def test_an_unchanged_folder_changes_nothing(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").touch()

    assert process.poll(3) == [False, False, False]


def test_new_and_changed_files_become_active(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").write_text(version("two"))
    (folder / "new.yaml").write_text(version("new"))

    assert process.poll(2) == [False, True]
    assert process.customers == {"acme": "two", "other": "other", "new": "new"}


def test_a_change_with_the_same_size_and_time_becomes_active(folder: Path, process: Process) -> None:
    path = folder / "acme.yaml"
    status = path.stat()
    path.write_text(version("two"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    process.poll(2)

    assert process.customers["acme"] == "two"


def test_a_file_renamed_over_the_old_one_becomes_active(folder: Path, process: Process) -> None:
    (folder / ".acme.yaml.swp").write_text("half a fi")
    (folder / "acme.yaml~").write_text(version("one"))
    (folder / "acme.yaml").rename(folder / "acme.yaml.bak")
    polls = process.poll()
    (folder / "new").write_text(version("two"))
    (folder / "new").rename(folder / "acme.yaml")

    assert polls == [False], "a file that is missing in one poll is not removed"
    assert process.poll(2) == [False, True]
    assert process.customers == {"acme": "two", "other": "other"}


def test_swapped_symbolic_links_become_active(tmp_path: Path, redis: Connection) -> None:
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

    assert process.poll(2) == [False, True]
    assert process.customers == {"acme": "two"}


@pytest.mark.parametrize("content", [BROKEN, FAILING, "", "\t- :", "source: [", b"\xff\xfe"])
def test_an_invalid_edit_keeps_the_last_good_version_active(
    folder: Path, process: Process, content: str | bytes
) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / "acme.yaml").write_bytes(raw)

    assert process.poll(3) == [False, True, False]
    assert process.customers == {"acme": "one", "other": "other"}
    assert process.broken == ["acme"]
    found = process.catalogue.find("acme")
    assert found is not None
    assert found.formatted_faults()[0].startswith(f"{folder}/acme.yaml:")


def test_a_corrected_file_becomes_active(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").write_text(BROKEN)
    process.poll(2)
    (folder / "acme.yaml").write_text(version("two"))

    assert process.poll(2) == [False, True]
    assert (process.customers["acme"], process.broken) == ("two", [])


def test_a_reverted_edit_is_valid_again(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").write_text(BROKEN)
    process.poll(2)
    (folder / "acme.yaml").write_text(version("one"))

    assert process.poll(2) == [False, True]
    assert process.broken == []


def test_the_last_good_version_survives_a_restart(folder: Path, process: Process, redis: Connection) -> None:
    (folder / "acme.yaml").write_text(version("two"))
    process.poll(2)
    (folder / "acme.yaml").write_text(BROKEN)

    restarted = Process(folder, redis)

    assert restarted.customers == {"acme": "two", "other": "other"}
    assert restarted.broken == ["acme"]


def test_without_redis_it_waits_for_the_last_good_version(folder: Path, process: Process, redis: Connection) -> None:
    class Away(LastGoodMappings):
        """The last good versions, in a Redis that can be unavailable."""

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
    reloader.poll()
    usable_before = [integration.name for integration in catalogue.usable()]
    last_good.is_away = False

    assert reloader.poll()
    assert usable_before == ["other"]
    assert [integration.name for integration in catalogue.usable()] == ["acme", "other"]


def test_a_file_that_was_never_valid_is_unusable_and_has_its_faults(folder: Path, process: Process) -> None:
    (folder / "new.yaml").write_text(BROKEN)

    process.poll(2)

    assert "new" not in process.customers
    assert process.broken == ["new"]


def test_a_file_counts_as_removed_after_two_polls(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").unlink()

    assert process.poll(3) == [False, True, False]
    assert process.customers == {"other": "other"}


def test_an_empty_or_missing_folder_removes_nothing(folder: Path, process: Process) -> None:
    for path in folder.iterdir():
        path.unlink()
    process.poll(3)
    empty, fault = process.customers, process.catalogue.fault
    shutil.rmtree(folder)
    process.poll(3)

    assert empty == process.customers == {"acme": "one", "other": "other"}
    assert fault is not None
    assert "empty" in fault
    folder.mkdir()
    (folder / "acme.yaml").write_text(version("two"))
    (folder / "other.yaml").write_text(version("other"))
    process.poll(2)
    assert (process.customers["acme"], process.catalogue.fault) == ("two", None)


def test_a_command_does_not_store_a_last_good_version(folder: Path, process: Process, redis: Connection) -> None:
    (folder / "acme.yaml").write_text(version("tried"))
    Process(folder, redis, records_changes=False)
    (folder / "acme.yaml").write_text(BROKEN)

    assert Process(folder, redis).customers["acme"] == "one"


def test_a_half_written_file_does_not_become_active(folder: Path, process: Process) -> None:
    whole = version("two") + "states: {Resolved: 6}\n"
    (folder / "acme.yaml").write_text(version("tw"))
    process.poll()
    (folder / "acme.yaml").write_text(whole)

    assert process.poll() == [False]
    assert process.poll() == [True]
    assert process.customers["acme"] == "two"


def test_a_new_file_becomes_active_at_the_second_poll(folder: Path, process: Process) -> None:
    (folder / "new.yaml").write_text(version("new"))

    assert process.poll(3) == [False, True, False]


@pytest.mark.parametrize("kind", ["folder", "link to nothing", "pipe"])
def test_a_file_that_was_unreadable_is_valid_again_with_the_same_content(
    folder: Path, process: Process, kind: str
) -> None:
    path = folder / "acme.yaml"
    path.unlink()
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case _:
            path.symlink_to("nothing")
    process.poll(2)
    broken = process.broken
    path.rmdir() if kind == "folder" else path.unlink()
    path.write_text(version("one"))

    assert broken == ["acme"]
    assert process.poll(2) == [False, True]
    assert (process.customers["acme"], process.broken) == ("one", [])


def test_a_pipe_or_a_very_long_file_is_a_fault_and_delays_nothing(folder: Path, process: Process) -> None:
    os.mkfifo(folder / "pipe.yaml")
    (folder / "long.yaml").write_text("# a comment\n" * 20_000)
    (folder / "acme.yaml").write_text(version("two"))

    process.poll(2)

    assert process.customers["acme"] == "two"
    faults = [file.formatted_faults()[0].partition(": ")[2] for file in process.catalogue.broken()]
    assert faults == [
        "the file cannot be read: it is larger than 128 KiB",
        "the file cannot be read: it is not a regular file",
    ]


@pytest.mark.parametrize("name", ["acme.yml", "acme.YAML"])
def test_a_file_with_a_similar_name_has_its_own_fault(folder: Path, process: Process, name: str) -> None:
    (folder / name).write_text(version("another"))
    process.poll(2)
    (folder / "acme.yaml").write_text(version("two"))

    assert process.poll(3) == [False, True, False]
    assert process.customers == {"acme": "two", "other": "other"}
    assert process.broken == [name]


def test_a_deployment_with_a_removed_and_a_broken_file_stops_nothing(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").unlink()
    process.poll(2)
    removed = process.customers
    (folder / "acme.yaml").write_text(BROKEN)
    process.poll(2)

    assert removed == {"other": "other"}
    assert process.customers == {"acme": "one", "other": "other"}
    assert process.broken == ["acme"]


def test_a_removed_integration_is_forgotten_after_a_day(folder: Path, process: Process, redis: Connection) -> None:
    (folder / "acme.yaml").unlink()
    process.poll(2)
    left = redis.call("TTL", key("acme", "mapping:good"))
    (folder / "acme.yaml").write_text(version("one"))
    process.poll(2)

    assert 86_000 < left <= 86_400
    assert redis.call("TTL", key("acme", "mapping:good")) == -1


class Secrets:
    """The missing secrets of a process."""

    def __init__(self) -> None:
        self.missing_of: set[str] = set()

    def missing(self, file: MappingFile) -> tuple[Fault, ...]:
        assert file.integration
        lost = file.integration.iem.customer_id in self.missing_of
        return (Fault(Position(4, 1), "password: NOPE is not set"),) if lost else ()


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def careful(folder: Path, redis: Connection, secrets: Secrets) -> Process:
    """A process that checks its secrets."""
    return Process(folder, redis, missing=secrets.missing)


def test_a_version_with_a_missing_secret_does_not_become_active(
    folder: Path, careful: Process, secrets: Secrets
) -> None:
    secrets.missing_of = {"two"}
    (folder / "acme.yaml").write_text(version("two"))
    careful.poll(2)
    refused = careful.customers["acme"], careful.broken
    secrets.missing_of = set()

    assert refused == ("one", ["acme"])
    assert careful.poll() == [True], "as soon as the secret is there"
    assert (careful.customers["acme"], careful.broken) == ("two", [])


def test_after_a_restart_the_last_good_version_needs_its_secret_too(
    folder: Path, careful: Process, secrets: Secrets, redis: Connection
) -> None:
    secrets.missing_of = {"two"}
    (folder / "acme.yaml").write_text(version("two"))

    restarted = Process(folder, redis, missing=secrets.missing)
    secrets.missing_of = {"one", "two"}
    without_any = Process(folder, redis, missing=secrets.missing)

    assert (restarted.customers["acme"], restarted.broken) == ("one", ["acme"])
    assert (without_any.customers["acme"], without_any.broken) == ("two", ["acme"])


def test_a_secret_that_disappears_is_reported_at_the_second_poll(careful: Process, secrets: Secrets) -> None:
    secrets.missing_of = {"one"}

    assert careful.poll(3) == [False, True, False]
    assert (careful.customers["acme"], careful.broken) == ("one", ["acme"])


def test_a_dry_run_uses_the_active_version_and_its_lines(folder: Path, process: Process) -> None:
    (folder / "acme.yaml").write_bytes(b"\xff\xfe")
    process.poll(2)
    file = process.catalogue.find("acme")
    assert file is not None

    result = DryRun(file).try_payload({"sys_id": "9d385017c611228701d22104cc95c371", "state": "6"})

    assert file.integration is not None
    assert result["mapping"] == file.integration.digest
    assert result["results"][0]["result"] == "relayed"
