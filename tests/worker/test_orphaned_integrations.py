"""Deliveries of disabled, invalid or removed integrations are parked, and continue afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from store.bench import DAY, DELIVERED, HOUR, MAPPING, NOT_NOW, RETENTION, Bench, resolution

from relay.clock import now_ms
from relay.core.seals import SealingKey
from relay.mapping_files.catalogue import Catalogue
from relay.mapping_files.folder import read_mappings
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.delivery_reader import DeliveryReader
from relay.store.registry import Registry
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail
from relay.worker.orphaned_integrations import OrphanedIntegrations
from relay.worker.sealing import Sealer


class Folder:
    """A folder of mapping files, and the workers that read it."""

    def __init__(self, path: Path, bench: Bench) -> None:
        self.path = path
        self.bench = bench
        self.write("other", MAPPING)

    def write(self, name: str, text: str) -> None:
        (self.path / f"{name}.yaml").write_text(text, "utf-8")

    def start_worker(self) -> OrphanedIntegrations:
        """Return the orphaned integrations of a worker that has just read the folder."""
        redis = self.bench.redis
        catalogue = Catalogue(read_mappings(self.path), folder=self.path)
        return OrphanedIntegrations(catalogue, Registry(redis), Circuit(redis), lambda _: self.bench.queue)

    def park(self, orphaned: OrphanedIntegrations) -> list[str]:
        return [name for name, _ in orphaned.park(self.bench.now)]


@pytest.fixture
def bench(redis: Connection) -> Bench:
    return Bench(redis)


@pytest.fixture
def folder(tmp_path: Path, bench: Bench) -> Folder:
    return Folder(tmp_path, bench)


@pytest.mark.parametrize(
    ("text", "reason"), [(MAPPING + "enabled: false\n", "disabled"), ("source: nonsense\n", "mapping_unusable")]
)
def test_an_integration_without_a_usable_mapping_is_parked(
    folder: Folder, bench: Bench, text: str, reason: str
) -> None:
    folder.write("acme", text)
    delivery = bench.accept(resolution("1")).id

    folder.park(folder.start_worker())

    assert bench.parked == reason
    assert DeliveryReader(bench.redis).status_of("acme", delivery) == "parked"


def test_a_file_counts_as_removed_after_two_readings(folder: Folder, bench: Bench) -> None:
    bench.accept(resolution("1"))
    orphaned = folder.start_worker()

    first, parked_then = folder.park(orphaned), bench.parked
    second, parked_now = folder.park(orphaned), bench.parked

    assert (first, parked_then) == ([], None)
    assert (second, parked_now) == (["acme"], "mapping_removed")


def test_a_file_that_has_come_back_is_not_removed(folder: Folder, bench: Bench) -> None:
    bench.accept(resolution("1"))
    orphaned = folder.start_worker()
    folder.park(orphaned)
    folder.write("acme", MAPPING)

    assert folder.park(orphaned) == []
    assert bench.parked is None


def test_an_empty_folder_removes_no_integration(folder: Folder, bench: Bench) -> None:
    bench.accept(resolution("1"))
    (folder.path / "other.yaml").unlink()
    orphaned = folder.start_worker()

    parked = [folder.park(orphaned), folder.park(orphaned)]

    assert parked == [[], []]
    assert bench.parked is None


def test_the_time_to_give_up_does_not_run_while_parked(folder: Folder, bench: Bench) -> None:
    folder.write("acme", MAPPING + "enabled: false\n")
    delivery = bench.accept(resolution("1")).id
    folder.park(folder.start_worker())
    bench.wait(72 * HOUR)  # give_up_after is 48h

    assert bench.attempt(NOT_NOW, delay=0) == "retrying", "the delivery was not given up meanwhile"

    assert bench.parked is None
    bench.wait(48 * HOUR)
    assert bench.attempt(NOT_NOW, delay=0) == "dead"
    assert bench.status(delivery) == "dead"


def test_a_parked_integration_keeps_its_reason(folder: Folder, bench: Bench) -> None:
    folder.write("acme", MAPPING + "enabled: false\n")
    bench.accept(resolution("1"))
    Circuit(bench.redis).park("acme", actor="beth", why="maintenance", now=bench.now)

    folder.park(folder.start_worker())

    assert bench.parked == "by_hand"
    assert bench.take().assignments == ()


def test_updates_are_accepted_and_superseded_while_parked(folder: Folder, bench: Bench) -> None:
    folder.write("acme", MAPPING + "enabled: false\n")
    older = bench.accept(resolution("1", state=6)).id
    folder.park(folder.start_worker())

    newer = bench.accept(resolution("2", state=7)).id

    assert bench.status(older) == "superseded"
    assert bench.take_one().id == newer


def test_a_removed_integration_is_swept_and_then_forgotten(folder: Folder, bench: Bench) -> None:
    bench.accept(resolution("1"))
    bench.attempt(DELIVERED)
    orphaned = folder.start_worker()
    folder.park(orphaned)
    assert folder.park(orphaned) == ["acme"]
    bench.wait(RETENTION + DAY)
    in_a_year = Sealer(
        Trail(bench.redis),
        SealChain(bench.redis),
        SealingKey(None),
        lambda: ["acme"],
        retention=60,
        now_ms=lambda: now_ms() + 365 * DAY,
    )
    in_a_year.seal_all()

    swept = bench.queue.sweep(cap=10, now=bench.now)
    orphaned.forget("acme")

    assert swept.left == 0
    assert folder.park(orphaned) == []
    assert Registry(bench.redis).names() == {"other"}


def test_consumers_of_silent_workers_are_removed(bench: Bench) -> None:
    for ticket in (1, 2):
        bench.accept(resolution("1", ticket=ticket))
    busy, done = bench.take_one(worker="busy"), bench.take_one(worker="done")
    bench.settle(done, DELIVERED)

    bench.queue.reclaim("other", min_idle=HOUR, now=bench.now, gone_after=0)

    left = {consumer[1] for consumer in bench.redis.call("XINFO", "CONSUMERS", bench.key("queue"), "workers")}
    assert left == {"busy"} | ({"other"} & left)
    assert bench.settle(busy, DELIVERED) == "delivered"


def test_consumers_of_recent_workers_are_kept(bench: Bench) -> None:
    bench.accept(resolution("1"))
    bench.settle(bench.take_one(worker="done"), DELIVERED)

    bench.queue.reclaim("other", min_idle=HOUR, now=bench.now)

    left = {consumer[1] for consumer in bench.redis.call("XINFO", "CONSUMERS", bench.key("queue"), "workers")}
    assert "done" in left
