"""A full Redis refuses new webhooks, and workers can still deliver the backlog."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness import sys_id, wait_until

from relay.store.connection import Connection
from relay.store.durability import read_durability

if TYPE_CHECKING:
    from end_to_end.conftest import Site


def test_a_full_redis_answers_503_and_the_backlog_is_delivered(site: Site) -> None:
    site.relay.start_web()
    for number in range(50):
        assert site.relay.post({"sys_id": sys_id(number), "state": "6"}).status_code == 202
    redis = Connection(site.redis.url, timeout=5)
    redis.call("CONFIG", "SET", "maxmemory", 1)

    refused = site.relay.post({"sys_id": sys_id(99), "state": "6"})
    site.relay.start_worker()

    assert refused.status_code == 503
    site.wait_for_pushes(50)
    wait_until(lambda: redis.call("ZCARD", "relay:{acme}:in:delivered") == 50, "all deliveries are settled")
    redis.call("CONFIG", "SET", "maxmemory", 0)
    assert site.relay.post({"sys_id": sys_id(99), "state": "6"}).status_code == 202


def test_memory_is_logged_at_startup_and_readiness_warns_early(site: Site) -> None:
    web = site.relay.start_web()
    worker = site.relay.start_worker()
    redis = Connection(site.redis.url, timeout=5)
    # By SETRANGE, because a command with so long a value would take memory for a while as well.
    redis.call("SETRANGE", "foreign key", 30_000_000, "x")
    redis.call("CONFIG", "SET", "maxmemory", int(read_durability(redis).memory_used * 1.15))

    def redis_check() -> dict[str, Any]:
        check = site.relay.check("redis")
        return dict(check)

    wait_until(lambda: redis_check()["status"] == "warn", "readiness warns")

    assert "(maxmemory)" in redis_check()["output"]
    wait_until(lambda: "worker started" in worker.log, "the worker has started")
    for process in (web, worker):
        line = next(json.loads(text) for text in process.log.splitlines() if "Redis durability" in text)
        assert "power cut" in str(line)
        assert "MiB of memory used" in str(line)
