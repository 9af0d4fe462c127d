"""`relay doctor`: the checks of settings, journal, Redis, web and workers."""

from __future__ import annotations

from pathlib import Path

from doctor.findings import Doctor, lines_of
from harness import RedisServer, mapping, write_mapping

from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats


def test_an_unknown_setting_is_reported_with_a_suggestion(doctor: Doctor, folder: Path) -> None:
    folder.mkdir()

    result = doctor(RELAY_JORNAL="/var/lib/relay")

    assert (
        "warn  settings: RELAY_JORNAL is not a setting of the relay and has no effect → did you mean RELAY_JOURNAL?"
        in result.stdout
    )
    assert "mappings has no mapping file → create one: `relay mappings new NAME`" in result.stdout


def test_an_unwritable_journal_fails_the_check(doctor: Doctor, folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (tmp_path / "file").write_text("")

    [line] = lines_of(doctor(RELAY_JOURNAL=str(tmp_path / "file")), "journal")

    assert line.startswith("fail")
    assert "create it" in line


def test_a_redis_that_evicts_is_reported_with_advice(
    doctor: Doctor, folder: Path, iem: SimulatorServer, tmp_path: Path
) -> None:
    write_mapping(folder, "acme", mapping(iem.url))
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis").start()
    try:
        Connection(server.url, timeout=5).call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

        result = doctor(RELAY_REDIS_URL=server.url)
    finally:
        server.stop()

    [line] = lines_of(result, "redis")
    assert line.startswith("fail")
    assert "set `maxmemory-policy noeviction`" in line


def test_stopped_web_fails_the_check_on_a_web_machine_only(doctor: Doctor, folder: Path, iem: SimulatorServer) -> None:
    write_mapping(folder, "acme", mapping(iem.url))

    [of_web], [of_both] = (lines_of(doctor(*options), "web") for options in (("--for", "web"), ()))

    assert of_web == "fail  web: web does not answer at 127.0.0.1:9: Connection refused → " + of_web.partition("→ ")[2]
    assert of_both.startswith("warn")
    assert lines_of(doctor("--for", "worker"), "web") == []


def test_a_missing_worker_fails_the_check(
    doctor: Doctor, folder: Path, iem: SimulatorServer, redis: Connection
) -> None:
    write_mapping(folder, "acme", mapping(iem.url))
    Heartbeats(redis).retire("a-worker-1-x")

    result = doctor()

    assert result.returncode == 1
    assert "fail  workers: no worker is running: nothing is delivered → start `relay worker`" in result.stdout
