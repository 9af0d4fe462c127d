"""The verdicts of the example on the page are those of the relay."""

from __future__ import annotations

from docs.markdown import section, tables
from docs.site_mappings import integration_of, shortest_file

from relay.clock import now_ms
from relay.foundation import new_id
from relay.intake.accept import Intake, Sender
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue

ORDERING = "docs/mapping-files/ordering-and-deduplication.md"


def test_the_example_gets_the_verdicts_that_the_page_shows(redis: Connection) -> None:
    integration = integration_of(shortest_file())
    queue = DeliveryQueue(redis, integration.name, retention=60)
    intake = Intake(lambda _: queue, now_ms=now_ms, new_id=new_id)
    (table,) = tables(section("Example", ORDERING))
    ids: dict[str, str] = {}

    for ticket, version, state, answer, delivery, why in table.rows:
        record = {"sys_id": f"{int(ticket[3:]):032x}", "sys_mod_count": version, "state": state}
        (receipt,) = intake.accept(integration, record, Sender("test"), now_ms())

        assert receipt.status == answer, why
        if delivery:
            assert ids.setdefault(delivery, receipt.id) == receipt.id, why

    assert len(set(ids.values())) == len(ids)
