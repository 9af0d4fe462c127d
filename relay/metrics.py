"""What the relay counts, for Prometheus. Depths of queues are not counted here: they are read from Redis when asked for.

Under several web processes PROMETHEUS_MULTIPROC_DIR is set (by `relay.web.gunicorn_conf`) before this module is imported.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0, 172800.0)

WEBHOOKS = Counter(
    "relay_webhooks", "Records of webhooks by what became of them", ("integration", "result")
)  # fmt: skip
REFUSALS = Counter("relay_webhook_refusals", "Webhooks that were refused as a whole, by HTTP status", ("status",))
WEBHOOK_SECONDS = Histogram("relay_webhook_seconds", "Time to answer a webhook", buckets=_FAST)
ATTEMPTS = Counter("relay_attempts", "Attempts to push, by what came of them", ("integration", "outcome", "reason"))
ATTEMPT_SECONDS = Histogram("relay_attempt_seconds", "Time that an attempt took", ("integration",), buckets=_SLOW)
DELIVERY_SECONDS = Histogram(
    "relay_delivery_seconds", "Time from acceptance to IEM's Success", ("integration",), buckets=_LONG
)
RECLAIMED = Counter("relay_reclaimed", "Deliveries taken back from workers that were lost", ("integration",))
MISSING_ENTRIES = Counter(
    "relay_missing_entries", "Queue entries that somebody else deleted: an alarm", ("integration",)
)
LOOKUPS = Counter(
    "relay_lookups", "Lookups of resolvers in Virima, by what came of them", ("integration", "outcome", "cached")
)  # fmt: skip
LOOKUP_SECONDS = Histogram("relay_lookup_seconds", "Time that Virima took for one", ("integration",), buckets=_SLOW)
PUBLICATIONS = Counter(
    "relay_publications", "What IEM was told of the relay itself, by what came of it", ("integration", "kind", "outcome")
)  # fmt: skip
DRAINED = Counter(
    "relay_journal_drained", "Records that went from the intake journal to Redis", ("integration", "result")
)  # fmt: skip
