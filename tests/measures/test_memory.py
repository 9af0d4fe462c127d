"""The memory that a pending and a finished delivery take in Redis, over all keys, as the embedded server reports it.

Operators plan with these numbers, for example for 100,000 pending deliveries, or for the deliveries of a month.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import RedisServer, mapping, write_mapping
from measures.backlog import fill, queue_of

from relay.clock import now_ms
from relay.core.outcomes import Delivered
from relay.store.connection import Connection
from relay.store.durability import parse_info
from relay.store.settlements import Assignment, Settlement

pytestmark = [pytest.mark.slow, pytest.mark.alone]

DELIVERIES = 20_000
#: Maximum bytes per delivery, a tenth above the measured values.
MAX_PENDING, MAX_FINISHED = 1_150, 1_020
#: Bytes by kind of key. The kind is what follows the integration's hash tag, without ids.
_BY_KIND = """
local sums, cursor = {}, '0'
repeat
  local page = redis.call('SCAN', cursor, 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    local kind = string.match(key, '}:(%l:)') or string.match(key, '}:(.*)') or key
    sums[kind] = (sums[kind] or 0) + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0)
  end
until cursor == '0'
return cjson.encode(sums)
"""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A connection to a server for this test alone, so that nothing else is in its memory."""
    server = RedisServer(tmp_path).start()
    connection = Connection(server.url, timeout=30)
    try:
        yield connection
    finally:
        connection.close()
        server.stop()


def test_the_memory_of_a_delivery_does_not_exceed_the_documented_size(
    connection: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = used_memory(connection)

    fill(connection, write_mapping(tmp_path / "mappings", "acme", mapping("http://127.0.0.1:9")), DELIVERIES)
    pending, pending_kinds = (used_memory(connection) - empty) / DELIVERIES, bytes_by_kind(connection)
    deliver_all(connection)
    finished, finished_kinds = (used_memory(connection) - empty) / DELIVERIES, bytes_by_kind(connection)

    with capsys.disabled():
        print(f"\nmemory: {pending:.0f} bytes per pending delivery, of these {pending_kinds}")
        print(f"memory: {finished:.0f} bytes per finished delivery, of these {finished_kinds}")
    assert pending <= MAX_PENDING
    assert finished <= MAX_FINISHED


def used_memory(connection: Connection) -> int:
    return int(parse_info(connection.call("INFO", "memory"))["used_memory"])


def bytes_by_kind(connection: Connection) -> dict[str, int]:
    """Return the bytes per delivery of each kind of key, the largest first."""
    sums: dict[str, int] = json.loads(connection.call("EVAL", _BY_KIND, 0))
    shares = {kind: round(size / DELIVERIES) for kind, size in sums.items()}
    return {kind: size for kind, size in sorted(shares.items(), key=lambda item: -item[1]) if size}


def deliver_all(connection: Connection) -> None:
    """Take all pending deliveries and settle them as delivered."""
    queue = queue_of(connection, "acme")
    while taken := queue.take("worker-1", 500, lease=35_000, config="config-1", now=now_ms()).assignments:
        statuses = queue.settle([_delivered(assignment) for assignment in taken], now=now_ms())
        assert set(statuses) == {"delivered"}


def _delivered(assignment: Assignment) -> Settlement:
    return Settlement(assignment, Delivered(), at=now_ms(), duration=40, status=200)
