"""A relay with a dead letter and a rejection, calls to its operator API, and the check of its answers against the document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from harness import SYS_ID, Relay, sys_id
from web.openapi_answers import BY_ID, check

from relay.core.outcomes import Dead
from relay.core.reasons import Reason
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.settlements import Settlement

TOKEN = "operator-token-1"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}
SENDER = ("sn", "sn-secret-pw")
RESOLVED = {"sys_id": SYS_ID, "state": "6", "number": "INC1", "sys_mod_count": "7", "resolved_by": "a@example.com"}
#: More records than one webhook can contain.
TOO_MANY = [{"sys_id": sys_id(number), "state": 6} for number in range(501)]
#: A valid id of neither a delivery nor a rejection.
UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def call_api(web: Relay, path: str, method: str = "GET", **options: Any) -> requests.Response:
    """Call the operator API, with the token unless there are other headers."""
    options.setdefault("headers", AUTHORIZATION)
    return requests.request(method, f"{web.url}/api/v1/{path}", timeout=5, **options)


def post_api(web: Relay, path: str, **options: Any) -> requests.Response:
    """POST to the operator API."""
    return call_api(web, path, "POST", **options)


def accept(web: Relay, *tickets: int) -> list[str]:
    """Post a resolution of each ticket. Return the ids of the deliveries."""
    answers = [web.post({"sys_id": sys_id(ticket), "state": "6", "number": f"INC{ticket}"}) for ticket in tickets]
    return [answer.json()["delivery_id"] for answer in answers]


def give_up_all(redis: Connection, now: int = 2_000_000_000_000) -> None:
    """Settle all pending deliveries as dead, like a worker whose IEM refuses them."""
    queue = DeliveryQueue(redis, "acme", retention=86400)
    assignments = queue.take("a test", 100, lease=1000, config="c", now=now).assignments
    settlements = [Settlement(assignment, Dead(Reason.REFUSED), at=now, status=400) for assignment in assignments]
    queue.settle(settlements, now=now)


class Scenario:
    """A relay with a dead letter and a rejection."""

    def __init__(self, web: Relay, redis: Connection) -> None:
        self.web, self.redis = web, redis
        self.dead_letter = self.accept(1)
        give_up_all(redis)
        self.rejection = web.post({"state": "6"}).json()["rejection_id"]

    def accept(self, ticket: int) -> str:
        """Post a webhook that is queued. Return the id of its delivery."""
        delivery_id: str = self.web.post({**RESOLVED, "sys_id": sys_id(ticket)}).json()["delivery_id"]
        return delivery_id

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET a path of web."""
        return requests.get(f"{self.web.url}{path}", timeout=5, **options)

    def api(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        """Call the operator API, with the token unless there are other headers."""
        return call_api(self.web, path, method, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        """POST to the operator API."""
        return post_api(self.web, path, **options)

    def after(self, *_steps: object) -> Scenario:
        """Return the scenario. The arguments are the steps that the caller took before."""
        return self


#: An operation, the status that is expected, and the request.
Case = tuple[str, int, Callable[[Scenario], requests.Response]]


def each(cases: list[Case]) -> pytest.MarkDecorator:
    """Run a test with each case."""
    params = [pytest.param(case, id=f"{case[0]}-{case[1]}") for case in cases]
    return pytest.mark.parametrize("case", params)


def check_case(scenario: Scenario, case: Case) -> None:
    """Make the request of a case. Fail if the answer's status is unexpected, or the document does not describe the answer."""
    operation_id, status, request = case

    answer = request(scenario)

    assert answer.status_code == status, answer.text
    check(operation_id, answer)


def post_operations(prefix: str) -> set[str]:
    """Return the ids of the documented operations below `prefix` that change something."""
    return {
        operation_id
        for operation_id, (path, method, _) in BY_ID.items()
        if method == "post" and path.startswith(f"/api/v1/{prefix}")
    }
