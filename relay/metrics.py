"""Counters and histograms for Prometheus. Gauges are not here: `/metrics` reads them from Redis.

With several web processes, `relay.web.gunicorn_conf` sets PROMETHEUS_MULTIPROC_DIR before this module is imported.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

#: Upper bounds of the buckets (seconds): for requests, for attempts and lookups, for whole deliveries.
_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_CALL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DELIVERY_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0, 172800.0)

WEBHOOKS = Counter("relay_webhooks", "Webhook records by result", ("integration", "result"))
REFUSALS = Counter("relay_webhook_refusals", "Refused webhooks by HTTP status", ("status",))
WEBHOOK_SECONDS = Histogram("relay_webhook_seconds", "Time to answer a webhook", buckets=_REQUEST_BUCKETS)
ATTEMPTS = Counter("relay_attempts", "Delivery attempts by outcome and reason", ("integration", "outcome", "reason"))
ATTEMPT_SECONDS = Histogram(
    "relay_attempt_seconds", "Duration of a delivery attempt", ("integration",), buckets=_CALL_BUCKETS
)
DELIVERY_SECONDS = Histogram(
    "relay_delivery_seconds", "Time from acceptance to IEM's Success", ("integration",), buckets=_DELIVERY_BUCKETS
)
RECLAIMED = Counter("relay_reclaimed", "Deliveries reclaimed from workers that stopped responding", ("integration",))
MISSING_ENTRIES = Counter(
    "relay_missing_entries", "Queue entries that something other than the relay deleted", ("integration",)
)
LOOKUPS = Counter("relay_lookups", "Resolver lookups in Virima by outcome", ("integration", "outcome", "cached"))
LOOKUP_SECONDS = Histogram(
    "relay_lookup_seconds", "Duration of a lookup in Virima", ("integration",), buckets=_CALL_BUCKETS
)
PUBLICATIONS = Counter(
    "relay_publications", "Publications about the relay itself to IEM, by outcome", ("integration", "kind", "outcome")
)
DRAINED = Counter(
    "relay_journal_drained", "Records moved from the intake journal to Redis, by result", ("integration", "result")
)
