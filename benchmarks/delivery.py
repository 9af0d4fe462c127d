"""Delivery: deliveries a second for each delay of IEM, and end to end at a fixed rate, compared with the minimal loop."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice

from harness import IEM_PASSWORD, IEM_USER, sys_id, wait_until
from measures.backlog import fill

from benchmarks.loop import STREAM
from benchmarks.results import Row, Section
from benchmarks.senders import pace, post, saturate
from benchmarks.site import Setting, Site, resolutions, tickets, webhook
from benchmarks.upstream import Upstream

_E2E_RATE = 100.0
_FILL = """
for i = 1, ARGV[1] do
  redis.call('XADD', KEYS[1], '*', 'id', i, 'sys_id', string.format('%032x', ARGV[2] + i), 'state', '6')
end
"""


def measure(*, runs: int, seconds: float) -> list[Section]:
    """Deliver a backlog with one worker and with two, then updates that arrive at a fixed rate."""
    drained = {delay: [_drained(delay, seconds) for _ in range(runs)] for delay in (0.0, 0.005, 0.05)}
    scaling = [(_with_workers(1, seconds), _with_workers(2, seconds)) for _ in range(runs)]
    latencies = [(_end_to_end(seconds, by_relay=True), _end_to_end(seconds, by_relay=False)) for _ in range(runs)]
    rows = [
        Row("deliveries a second, IEM answers at once", "/s", *_both(drained[0.0]), "≥ 0.5", 0.5),
        Row("… IEM answers after 5 ms", "/s", *_both(drained[0.005])),
        Row(
            "… IEM answers after 50 ms, 32 in flight",
            "/s",
            _both(drained[0.05])[0],
            [640.0] * runs,
            "≥ 0.95 of 640",
            0.95,
        ),
        Row("… compared with the minimal loop", "/s", *_both(drained[0.05])),
        Row("the simulated IEM alone, with 16 connections", "/s", [_alone(seconds) for _ in range(runs)]),
        Row(
            "two workers compared with one, IEM answers after 50 ms, 8 in flight each",
            "/s",
            *_both(scaling)[::-1],
            "≥ 1.9",
            1.9,
        ),
    ]
    for name, part, bound in (("p50", 0.5, 8.0), ("p99", 0.99, 25.0)):
        relay, baseline = ([_percentile(run[which], part) * 1000 for run in latencies] for which in (0, 1))
        measure, goal = f"webhook to push at 100 a second, {name}", f"≤ {bound:.0f} ms, or ≤ 1.5"
        rows.append(Row(measure, "ms", relay, baseline, goal, 1.5, more_is_better=False, relay_bound=bound))
    conditions = (
        "One worker process unless stated otherwise, `appendfsync everysec`, the simulated IEM in a separate process. "
        "Baseline: the minimal loop, XREADGROUP, `http.client` on kept-alive connections with as many threads, batched XACK, "
        "no guarantees; end to end it reads from the floor of intake."
    )
    return [Section("Delivery", conditions, rows)]


def _both(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


def _drained(delay: float, seconds: float) -> tuple[float, float]:
    """Return the deliveries a second of the relay and of the minimal loop."""
    return _drain(delay, seconds, by_relay=True), _drain(delay, seconds, by_relay=False)


def _drain(delay: float, seconds: float, *, by_relay: bool, workers: int = 1, in_flight: int = 0) -> float:
    in_flight = in_flight or (32 if delay == 0.05 else 16)
    with Site(Setting("everysec", delay, in_flight, in_flight)) as site:
        length = int(6000 * (seconds + 2)) if delay < 0.05 else int(800 * workers * (seconds + 2))
        if by_relay:
            fill(site.connection, site.mapping_file, length)
            for _ in range(workers):
                site.relay.start_worker()
        else:
            _fill_stream(site, length)
            site.start_loop(threads=in_flight)
        return rate_of(site.upstream.pushed, seconds, length)


def _with_workers(workers: int, seconds: float) -> float:
    return _drain(0.05, seconds, by_relay=True, workers=workers, in_flight=8)


def _alone(seconds: float) -> float:
    """Return the pushes a second that the simulated IEM accepts from the cheapest sender."""
    with closing(Upstream()) as upstream:
        credential = "Basic " + base64.b64encode(f"{IEM_USER}:{IEM_PASSWORD}".encode()).decode()
        bodies = (json.dumps({"state": 6, "sysid": sys_id(ticket)}).encode() for ticket in tickets())
        pushes = (post("/gbp/push/ACME?integrationid=42", credential, body) for body in bodies)
        answers = saturate(upstream.port, pushes, connections=16, seconds=seconds)
        assert set(answers.statuses) == {200}, answers.statuses
        return answers.rate


def rate_of(pushed: Callable[[], int], seconds: float, length: int) -> float:
    """Return the pushes a second, after the first second."""
    already = pushed()
    wait_until(lambda: pushed() > already + 100, "pushes begin")
    time.sleep(1)
    before, began = pushed(), time.perf_counter()
    time.sleep(seconds)
    after, ended = pushed(), time.perf_counter()
    assert after < length, "the backlog was too short"
    return (after - before) / (ended - began)


def _fill_stream(site: Site, count: int) -> None:
    for first in range(0, count, 1000):
        site.connection.call("EVAL", _FILL, 1, STREAM, min(1000, count - first), first)


def _end_to_end(seconds: float, *, by_relay: bool, fsync: str = "everysec") -> list[float]:
    """Return the seconds from each webhook's due time to its push, at a fixed rate."""
    with Site(Setting(fsync)) as site:
        if by_relay:
            port = site.start_web()
            site.relay.start_worker()
        else:
            port = site.start_floor()
            site.start_loop(threads=16)
        warm_up = len(saturate(port, resolutions(), connections=1, seconds=1).latencies)
        wait_until(lambda: site.upstream.pushed() >= warm_up, "the first updates are pushed")
        sent = list(islice(tickets(), int(_E2E_RATE * seconds) + 1))
        answers = pace(port, map(webhook, sent), rate=_E2E_RATE, seconds=seconds)
        assert set(answers.statuses) == {202}
        dues = {sys_id(ticket): due for ticket, due in zip(sent, answers.dues, strict=False)}
        wait_until(lambda: set(dues) <= set(site.upstream.times()), "all are pushed")
        times = site.upstream.times()
        return [times[ticket] - due for ticket, due in dues.items()]


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
