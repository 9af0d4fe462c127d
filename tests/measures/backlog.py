"""Fills Redis with a long backlog: maps and accepts realistic records as web does, 500 at a time, without HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import sys_id

from relay.clock import now_ms
from relay.core.integration import Integration
from relay.core.mapping import MAX_RECORDS, map_payload
from relay.foundation import new_id
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission

#: Seconds.
RETENTION = 30 * 86400


def incident(ticket: int, **changes: str) -> dict[str, str]:
    """Return ServiceNow's record of a resolved ticket."""
    record = {"sys_id": sys_id(ticket), "number": f"INC{ticket:07d}", "sys_class_name": "incident", "state": "6"}
    record |= {"sys_mod_count": "7", "sys_updated_on": "2026-03-14 09:26:53", "resolved_by": "beth.anglin@example.com"}
    return record | changes


def queue_of(connection: Connection, name: str) -> DeliveryQueue:
    """Return the queue of an integration."""
    return DeliveryQueue(connection, name, retention=RETENTION)


def fill(connection: Connection, mapping_file: Path, count: int) -> None:
    """Accept the resolutions of `count` tickets for the integration of `mapping_file`."""
    integration = parse_mapping_file(mapping_file.stem, mapping_file.read_text("utf-8"), load_presets()).integration
    assert integration is not None
    queue = queue_of(connection, integration.name)

    def accept(first: int) -> None:
        submissions = list(_submissions(integration, range(first, min(first + MAX_RECORDS, count))))
        verdicts = queue.accept(integration, submissions, now_ms())
        assert {verdict.status for verdict in verdicts} == {"queued"}

    # While Redis handles the records of one thread, the other thread maps.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(accept, range(0, count, MAX_RECORDS)))


def _submissions(integration: Integration, tickets: Iterable[int]) -> Iterator[Submission]:
    at = now_ms()
    for mapped in map_payload(integration, [incident(ticket) for ticket in tickets]):
        yield Submission(new_id(at), mapped, at, "servicenow")
