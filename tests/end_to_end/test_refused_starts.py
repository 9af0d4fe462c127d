"""A start fails with exit status 78 and an explanation: for wrong settings, and for a Redis that would lose updates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT, RedisServer, base_environ, free_port, mapping, write_mapping

from relay.store.connection import Connection

WEB = [sys.executable, "-m", "gunicorn", "-w", "1", "-b", f"127.0.0.1:{free_port()}", "wsgi:app"]
WORKER = [sys.executable, "-m", "relay", "worker"]


def run(command: list[str], folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    write_mapping(folder / "mappings", "acme", mapping("https://iem.example.com"))
    environ = {**base_environ(), "RELAY_MAPPINGS": str(folder / "mappings"), **environ}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
def test_all_wrong_settings_are_reported(command: list[str], tmp_path: Path) -> None:
    result = run(command, tmp_path, RELAY_CONCURRENCY="many", RELAY_RETENTION="30", RELAY_REDIS_URL="ftp://x")

    assert result.returncode == 78
    for name in ("RELAY_CONCURRENCY", "RELAY_RETENTION", "RELAY_REDIS_URL"):
        assert f"{name}: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
def test_a_missing_mappings_folder_is_reported(command: list[str], tmp_path: Path) -> None:
    result = run(command, tmp_path, RELAY_MAPPINGS=str(tmp_path / "nowhere"))

    assert result.returncode == 78
    assert "RELAY_MAPPINGS: the folder" in result.stderr


@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [("appendonly", "no", "RELAY_VOLATILE=allow"), ("maxmemory-policy", "allkeys-lru", "maxmemory-policy noeviction")],
)
def test_a_redis_that_would_lose_updates_is_refused(
    command: list[str], tmp_path: Path, name: str, value: str, advice: str
) -> None:
    redis = RedisServer(tmp_path).start()
    try:
        Connection(redis.url, timeout=5).call("CONFIG", "SET", name, value)

        result = run(command, tmp_path, RELAY_REDIS_URL=redis.url)
    finally:
        redis.stop()

    assert result.returncode == 78
    assert advice in result.stderr
    assert "Traceback" not in result.stderr
