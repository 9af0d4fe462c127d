"""The number of tries with wrong credentials for 500 pending deliveries (no storms: docs/reference/guarantees-and-limits.md).

RELAY_CREDENTIALS_SECONDS (8) sets the duration of the test. The next probe would follow after five minutes.
"""

from __future__ import annotations

import os

import pytest
from end_to_end.conftest import Site
from harness import wait_until
from measures.backlog import fill

from relay.store.circuit import Circuit
from relay.store.connection import Connection

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SECONDS = float(os.environ.get("RELAY_CREDENTIALS_SECONDS", "8"))
PENDING, WORKERS, MAX_TOKEN_CALLS = 500, 3, 3


@pytest.mark.timeout(int(60 + SECONDS))
def test_wrong_credentials_are_tried_at_most_three_times(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    connection = Connection(site.redis.url, timeout=5)
    fill(connection, site.relay.mappings / "acme.yaml", PENDING)
    site.relay.environ["ACME_IEM_PASSWORD"] = "changed-since"

    workers = [site.relay.start_worker() for _ in range(WORKERS)]
    wait_until(lambda: all("worker started" in worker.log for worker in workers), "all workers run")
    too_many = site.server.request_log.wait_until(lambda: site.iem.token_calls > MAX_TOKEN_CALLS, timeout=SECONDS)

    with capsys.disabled():
        print(f"\nwrong credentials: {site.iem.token_calls} token calls in {SECONDS:.0f} s, {WORKERS} workers")
    assert not too_many
    assert site.iem.token_calls >= 1
    state = Circuit(connection).read("acme")
    assert state is not None
    assert state.reason == "wrong_credentials"
    assert site.server.request_log.count("/gbp/push/") == 0
