"""docs/operating/metrics-and-logs.md lists the metrics of the code, and its alerts use them."""

from __future__ import annotations

import re

from docs.markdown import Table, code, section, tables
from prometheus_client import Counter, Histogram

from relay import metrics
from relay.intake.journal import JournalState
from relay.store.heartbeats import Backlog
from relay.web.metrics_page import _StoreGauges
from relay.web.store_monitor import StoreSnapshot

PAGE = "docs/operating/metrics-and-logs.md"


def metrics_table() -> Table:
    (table,) = tables(section("Metrics", PAGE))
    return table


def labelled(name: str, labels: tuple[str, ...]) -> str:
    return f"{name}{{{','.join(labels)}}}" if labels else name


def test_every_metric_is_documented_and_no_other() -> None:
    snapshot = StoreSnapshot(
        1,
        latest_heartbeat=1,
        backlogs=(Backlog("acme", 1, 1, 1, 1, 1, "down", 1, "down"),),
        journal=JournalState(),
    )
    counted = [metric for metric in vars(metrics).values() if isinstance(metric, Counter | Histogram)]
    exposed = {
        *(
            labelled(f"{metric._name}{'_total' if isinstance(metric, Counter) else ''}", tuple(metric._labelnames))
            for metric in counted
        ),
        *(labelled(gauge.name, tuple(gauge.samples[0].labels)) for gauge in _StoreGauges(snapshot).collect()),
    }

    assert {code(row[0])[0] for row in metrics_table().rows} == exposed


def test_alerts_use_metrics_that_exist() -> None:
    names = {code(row[0])[0].partition("{")[0] for row in metrics_table().rows}
    (alerts,) = tables(section("Alerts", PAGE))

    assert {name for row in alerts.rows for name in re.findall(r"relay_\w+", row[1])} <= names
