"""Growth: the cost of many stored deliveries, in time and in memory."""

from __future__ import annotations

import signal
import time
from functools import partial
from statistics import median

import requests
from harness import wait_until
from measures.backlog import fill
from measures.test_memory import deliver_all, used_memory

from benchmarks.delivery import rate_of
from benchmarks.results import Row, Section
from benchmarks.senders import Answers, in_turns, saturate
from benchmarks.site import Setting, Site, resolutions
from relay.store.durability import parse_info

TOKEN = {"Authorization": "Bearer a-token-of-the-benchmarks"}
_CONNECTIONS = 32
#: Deliveries in a short backlog.
_SHORT = 20_000


def measure(*, runs: int, seconds: float, million: bool) -> list[Section]:
    """Fill Redis with more and more deliveries, and measure each time."""
    counts = (1_000, 100_000, *([1_000_000] if million else []))
    rows = [row for count in counts for row in _measure(count, runs, seconds)]
    conditions = (
        "Filled once; intake and delivery are measured as often as elsewhere, the rest once. `appendfsync everysec`, tickets "
        "with one update each, realistic ServiceNow records. All keys are counted: record, queue, identity, mark, indexes, "
        f"audit trail. Baseline, in turns: the same with nothing else stored (for deliveries, {_SHORT:,} at the beginning of "
        "each turn; a turn at the long backlog shortens it by the number of deliveries)."
    )
    return [Section("Growth", conditions, rows)]


def _measure(count: int, runs: int, seconds: float) -> list[Row]:
    name = f"{count:,}"
    with Site(Setting("everysec")) as site, Site(Setting("everysec")) as empty:
        site.relay.environ["RELAY_ADMIN_TOKEN"] = TOKEN["Authorization"].split()[1]
        site.relay.environ["RELAY_MAX_PENDING"] = "2000000"
        before = used_memory(site.connection)
        fill(site.connection, site.mapping_file, count)
        pending = (used_memory(site.connection) - before) / count
        _await_rewrite(site)
        port, empty_port = site.start_web(), empty.start_web()
        taken = [in_turns(seconds, partial(_accept, port), partial(_accept, empty_port)) for _ in range(runs)]
        listed = [_seconds_of(port, "deliveries?limit=50") * 1000 for _ in range(20)]
        restart = _restart(site)
        deliver_all(site.connection)
        stored = count + sum(len(full.latencies) for full, _ in taken)
        finished = (used_memory(site.connection) - before) / stored
        listed_finished = [_seconds_of(port, "deliveries?limit=50") * 1000 for _ in range(20)]
    # A short backlog is delivered before its rate is known, and its size disappears in that of the server.
    is_long = count > 1_000
    goal_of_rate = ("≥ 0.9", 0.9) if is_long else ("", None)
    rates = [full.rate for full, _ in taken], [empty.rate for _, empty in taken]
    rows = [Row(f"intake with {name} pending", "/s", *rates, *goal_of_rate)]
    if is_long:
        rows.append(Row(f"delivery with {name} pending", "/s", *_drained(count, runs, seconds), *goal_of_rate))
        for kind, size, bound in (("pending", pending, 1300), ("finished", finished, 900)):
            measure, goal = f"memory per {kind} delivery, {name} of them", f"≤ {bound:,} B"
            rows.append(Row(measure, "B", [size], goal=goal, bound=bound, more_is_better=False))
    return [
        *rows,
        Row(f"a page of 50 deliveries, {name} pending", "ms", [median(listed)]),
        Row(f"a page of 50 deliveries, {name} finished", "ms", [median(listed_finished)]),
        Row(f"Redis restarts with {name} pending", "s", [restart]),
    ]


def _drained(count: int, runs: int, seconds: float) -> tuple[list[float], list[float]]:
    """Return the deliveries a second with about `count` pending and with short backlogs, in turns."""
    rates: tuple[list[float], list[float]] = [], []
    with Site(Setting("everysec")) as site:
        _fill(site, count)
        for _ in range(runs):
            rates[0].append(_drain(site, seconds, count))
            with Site(Setting("everysec")) as short:
                _fill(short, _SHORT)
                rates[1].append(_drain(short, seconds, _SHORT))
    return rates


def _fill(site: Site, count: int) -> None:
    site.relay.environ["RELAY_MAX_PENDING"] = "2000000"
    fill(site.connection, site.mapping_file, count)
    _await_rewrite(site)


def _drain(site: Site, seconds: float, length: int) -> float:
    worker = site.relay.start_worker()
    rate = rate_of(site.upstream.pushed, seconds, length)
    worker.stop()
    return rate


def _await_rewrite(site: Site) -> None:
    """Wait until Redis has rewritten its append-only file: filling it within a minute starts that, and it occupies a core."""

    def is_over() -> bool:
        state = parse_info(site.connection.call("INFO", "persistence"))
        return (state["aof_rewrite_in_progress"], state["aof_rewrite_scheduled"]) == ("0", "0")

    wait_until(is_over, "Redis has rewritten its file", patience=120)


def _accept(port: int, seconds: float) -> Answers:
    return saturate(port, resolutions(), connections=_CONNECTIONS, seconds=seconds)


def _restart(site: Site) -> float:
    """Return the seconds until Redis answers again after a kill."""
    site.redis.send(signal.SIGKILL)
    began = time.perf_counter()
    site.redis.start()
    took = time.perf_counter() - began
    wait_until(lambda: requests.get(f"{site.relay.url}/readyz", timeout=5).status_code == 200, "web is ready again")
    return took


def _seconds_of(port: int, path: str) -> float:
    began = time.perf_counter()
    answer = requests.get(f"http://127.0.0.1:{port}/api/v1/{path}", headers=TOKEN, timeout=30)
    assert answer.status_code == 200, answer.text
    return time.perf_counter() - began
