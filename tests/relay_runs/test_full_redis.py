"""A Redis whose memory is full refuses new webhooks, and still lets workers empty it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import sys_id, wait_until

from relay.store.connection import Connection

if TYPE_CHECKING:
    from relay_runs.conftest import Site


def test_a_full_redis_answers_503_and_the_backlog_still_drains(site: Site) -> None:
    site.relay.start_web()
    for number in range(50):
        assert site.relay.post({"sys_id": sys_id(number), "state": "6"}).status_code == 202
    redis = Connection(site.redis.url, timeout=5)
    redis.call("CONFIG", "SET", "maxmemory", 1)

    refused = site.relay.post({"sys_id": sys_id(99), "state": "6"})
    site.relay.start_worker()

    assert refused.status_code == 503
    site.wait_for_pushes(50)
    wait_until(lambda: redis.call("ZCARD", "relay:{acme}:in:delivered") == 50, "all are settled")
    redis.call("CONFIG", "SET", "maxmemory", 0)
    assert site.relay.post({"sys_id": sys_id(99), "state": "6"}).status_code == 202
