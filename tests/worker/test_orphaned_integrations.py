"""Deliveries of integrations that are disabled, broken or removed wait with their clocks stopped, and go on afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from store.bench import DAY, DELIVERED, HOUR, MAPPING, NOT_NOW, RETENTION, Bench, resolution

from relay.clock import now_ms
from relay.core.seal import SealingKey
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


class Site:
    """A folder of mapping files, and what looks after those that are not there."""

    def __init__(self, folder: Path, bench: Bench) -> None:
        self.folder = folder
        self.bench = bench
        self.write("other", MAPPING)

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.yaml").write_text(text, "utf-8")

    def absences(self) -> OrphanedIntegrations:
        """Start a worker: it reads the folder once."""
        redis = self.bench.redis
        catalogue = Catalogue(read_mappings(self.folder), folder=self.folder)
        return OrphanedIntegrations(catalogue, Registry(redis), Circuit(redis), lambda _: self.bench.queue)

    def look(self, absences: OrphanedIntegrations) -> list[str]:
        return [name for name, _ in absences.set_aside(self.bench.now)]


@pytest.fixture
def bench(redis: Connection) -> Bench:
    return Bench(redis)


@pytest.fixture
def site(tmp_path: Path, bench: Bench) -> Site:
    return Site(tmp_path, bench)


@pytest.mark.parametrize(
    ("text", "reason"), [(MAPPING + "enabled: false\n", "disabled"), ("source: nonsense\n", "mapping_unusable")]
)
def test_what_nobody_delivers_is_parked_and_says_why(site: Site, bench: Bench, text: str, reason: str) -> None:
    site.write("acme", text)
    delivery = bench.accept(resolution("1")).id

    site.look(site.absences())

    assert bench.parked == reason
    assert DeliveryReader(bench.redis).status_of("acme", delivery) == "parked"


def test_a_file_counts_as_removed_after_two_looks(site: Site, bench: Bench) -> None:
    bench.accept(resolution("1"))
    absences = site.absences()

    first, parked_then = site.look(absences), bench.parked
    second, parked_now = site.look(absences), bench.parked

    assert (first, parked_then) == ([], None)
    assert (second, parked_now) == (["acme"], "mapping_removed")


def test_a_file_that_is_there_by_now_is_not_removed(site: Site, bench: Bench) -> None:
    bench.accept(resolution("1"))
    absences = site.absences()
    site.look(absences)
    site.write("acme", MAPPING)

    assert site.look(absences) == []
    assert bench.parked is None


def test_an_empty_folder_is_a_fault_and_no_removal(site: Site, bench: Bench) -> None:
    bench.accept(resolution("1"))
    (site.folder / "other.yaml").unlink()
    absences = site.absences()

    looks = [site.look(absences), site.look(absences)]

    assert looks == [[], []]
    assert bench.parked is None


def test_the_clock_stands_still_until_a_worker_delivers_again(site: Site, bench: Bench) -> None:
    site.write("acme", MAPPING + "enabled: false\n")
    delivery = bench.accept(resolution("1")).id
    site.look(site.absences())
    bench.wait(72 * HOUR)  # give_up_after is 48h

    assert bench.attempt(NOT_NOW, delay=0) == "retrying", "it was not given up meanwhile"

    assert bench.parked is None
    bench.wait(48 * HOUR)
    assert bench.attempt(NOT_NOW, delay=0) == "dead"
    assert bench.status(delivery) == "dead"


def test_what_is_parked_already_keeps_its_reason(site: Site, bench: Bench) -> None:
    site.write("acme", MAPPING + "enabled: false\n")
    bench.accept(resolution("1"))
    Circuit(bench.redis).park("acme", actor="beth", why="maintenance", now=bench.now)

    site.look(site.absences())

    assert bench.parked == "by_hand"
    assert bench.take().assignments == ()


def test_updates_are_accepted_and_superseded_meanwhile(site: Site, bench: Bench) -> None:
    site.write("acme", MAPPING + "enabled: false\n")
    older = bench.accept(resolution("1", state=6)).id
    site.look(site.absences())

    newer = bench.accept(resolution("2", state=7)).id

    assert bench.status(older) == "superseded"
    assert bench.take_one().id == newer


def test_a_removed_integration_is_swept_and_forgotten_when_nothing_is_left(site: Site, bench: Bench) -> None:
    bench.accept(resolution("1"))
    bench.attempt(DELIVERED)
    absences = site.absences()
    site.look(absences)
    assert site.look(absences) == ["acme"]
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
    absences.forget("acme")

    assert swept.left == 0
    assert site.look(absences) == []
    assert Registry(bench.redis).names() == {"other"}


def test_consumers_of_workers_that_are_gone_are_removed(bench: Bench) -> None:
    for ticket in (1, 2):
        bench.accept(resolution("1", ticket=ticket))
    busy, done = bench.take_one(worker="busy"), bench.take_one(worker="done")
    bench.settle(done, DELIVERED)

    bench.queue.reclaim("looks", min_idle=HOUR, now=bench.now, gone_after=0)

    left = {one[1] for one in bench.redis.call("XINFO", "CONSUMERS", bench.key("queue"), "workers")}
    assert left == {"busy"} | ({"looks"} & left)
    assert bench.settle(busy, DELIVERED) == "delivered"


def test_consumers_that_were_heard_of_lately_stay(bench: Bench) -> None:
    bench.accept(resolution("1"))
    bench.settle(bench.take_one(worker="done"), DELIVERED)

    bench.queue.reclaim("looks", min_idle=HOUR, now=bench.now)

    left = {one[1] for one in bench.redis.call("XINFO", "CONSUMERS", bench.key("queue"), "workers")}
    assert "done" in left
