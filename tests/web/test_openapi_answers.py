"""What the running application answers is what the document says: every success, and the problems that can be brought about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from harness import SYS_ID, RedisServer, Relay, mapping, sys_id, wait_until, write_mapping
from web.openapi_answers import BY_ID, check

from relay.core.outcomes import Dead
from relay.core.reasons import Reason
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.settlements import Settlement

TOKEN = {"Authorization": "Bearer operator-token-1"}
RESOLVED = {"sys_id": SYS_ID, "state": "6", "number": "INC1", "sys_mod_count": "7", "resolved_by": "a@example.com"}
MANY = [{"sys_id": sys_id(number), "state": 6} for number in range(501)]
#: A delivery and a rejection that there are not.
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
SENDER = ("sn", "sn-secret-pw")

Call = Callable[["Stage"], requests.Response]


class Stage:
    """A relay with a dead letter, a closed one, and a rejection."""

    def __init__(self, web: Relay, redis: Connection) -> None:
        self.web, self.redis = web, redis
        self.queue = DeliveryQueue(redis, "acme", retention=86400)
        self.dead = self.accept(1)
        self.kill()
        self.rejection = web.post({"state": "6"}).json()["rejection_id"]

    def accept(self, ticket: int) -> str:
        """Post a webhook that is queued, and return its id."""
        found: str = self.web.post({**RESOLVED, "sys_id": sys_id(ticket)}).json()["delivery_id"]
        return found

    def kill(self) -> None:
        """Settle all that waits as dead."""
        now = 2_000_000_000_000
        taken = self.queue.take("a test", 100, lease=1000, config="c", now=now).assignments
        self.queue.settle([Settlement(one, Dead(Reason.REFUSED), at=now, status=400) for one in taken], now=now)

    def get(self, path: str, **options: Any) -> requests.Response:
        """Ask."""
        return requests.get(f"{self.web.url}{path}", timeout=5, **options)

    def api(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        """Call the operator API, with the token unless other headers are given."""
        options.setdefault("headers", TOKEN)
        return requests.request(method, f"{self.web.url}/api/v1/{path}", timeout=5, **options)

    def act(self, path: str, **options: Any) -> requests.Response:
        """Call the operator API by POST."""
        return self.api(path, "POST", **options)

    def prepared(self, *_steps: object) -> Stage:
        """Return the stage, after the steps that its caller took to say this."""
        return self


@pytest.fixture
def stage(web: Relay, redis: Connection) -> Stage:
    return Stage(web, redis)


WEBHOOKS: list[tuple[str, int, Call]] = [
    ("queued", 202, lambda on: on.web.post(RESOLVED)),
    ("duplicate", 200, lambda on: on.prepared(on.web.post(RESOLVED)).web.post(RESOLVED)),
    ("ignored", 200, lambda on: on.web.post({**RESOLVED, "state": "2"})),
    ("superseded", 200, lambda on: on.prepared(on.web.post(RESOLVED)).web.post({**RESOLVED, "sys_mod_count": "6"})),
    ("batch", 207, lambda on: on.web.post([RESOLVED, RESOLVED, {**RESOLVED, "state": "2"}, {"state": "6"}])),
    ("not JSON", 400, lambda on: on.web.post(b"{")),
    ("no credentials", 401, lambda on: on.web.post(RESOLVED, auth=None)),
    ("no key", 401, lambda on: on.web.post(RESOLVED, name="signed", auth=None)),
    ("another address", 403, lambda on: on.web.post(RESOLVED, name="inside")),
    ("no integration", 404, lambda on: on.web.post(RESOLVED, name="nobody")),
    ("disabled", 404, lambda on: on.web.post(RESOLVED, name="off")),
    ("too large", 413, lambda on: on.web.post(b"x" * 70_000)),
    ("too many records", 413, lambda on: on.web.post(MANY)),
    ("XML", 415, lambda on: on.web.post(b"<a/>", headers={"Content-Type": "application/xml"})),
    ("compressed", 415, lambda on: on.web.post(b"x", headers={"Content-Encoding": "gzip"})),
    ("no state", 422, lambda on: on.web.post({"sys_id": SYS_ID})),
    ("unlisted state", 422, lambda on: on.web.post({**RESOLVED, "state": "2"}, name="strict")),
    ("no record", 422, lambda on: on.web.post([])),
    ("broken mapping", 503, lambda on: on.web.post(RESOLVED, name="broken")),
    ("no secret", 503, lambda on: on.web.post(RESOLVED, name="secretless")),
]

OTHERS: list[tuple[str, int, Call]] = [
    ("askAfterDelivery", 200, lambda on: on.get(f"/webhooks/acme/deliveries/{on.dead}", auth=SENDER)),
    ("askAfterDelivery", 401, lambda on: on.get(f"/webhooks/acme/deliveries/{on.dead}")),
    ("askAfterDelivery", 403, lambda on: on.get(f"/webhooks/inside/deliveries/{on.dead}", auth=SENDER)),
    ("askAfterDelivery", 404, lambda on: on.get(f"/webhooks/acme/deliveries/{NOBODY}", auth=SENDER)),
    ("askAfterDelivery", 503, lambda on: on.get(f"/webhooks/broken/deliveries/{on.dead}", auth=SENDER)),
    ("isAlive", 200, lambda on: on.get("/livez")),
    ("isReady", 200, lambda on: on.get("/readyz")),
    ("isHealthy", 200, lambda on: on.get("/healthz")),
    ("readMetrics", 200, lambda on: on.get("/metrics")),
    ("readOpenapi", 200, lambda on: on.get("/openapi.json")),
    ("readDocs", 200, lambda on: on.get("/docs")),
    ("listIntegrations", 200, lambda on: on.api("integrations")),
    ("listIntegrations", 401, lambda on: on.api("integrations", headers={})),
    ("showIntegration", 200, lambda on: on.api("integrations/acme")),
    ("showIntegration", 200, lambda on: on.api("integrations/broken")),
    ("showIntegration", 404, lambda on: on.api("integrations/nobody")),
    ("parkIntegration", 200, lambda on: on.act("integrations/acme/park", json={"why": "tonight"})),
    ("parkIntegration", 400, lambda on: on.act("integrations/acme/park", data="{")),
    ("parkIntegration", 404, lambda on: on.act("integrations/nobody/park")),
    ("parkIntegration", 413, lambda on: on.act("integrations/acme/park", data="x" * 70_000)),
    ("parkIntegration", 422, lambda on: on.act("integrations/acme/park", json={"why": 7})),
    ("resumeIntegration", 200, lambda on: on.prepared(on.act("integrations/acme/park")).act("integrations/acme/resume")),
    ("resumeIntegration", 409, lambda on: on.act("integrations/acme/resume")),
    ("tryPayload", 200, lambda on: on.act("integrations/acme/try", json=[RESOLVED, {**RESOLVED, "state": "2"}, {}])),
    ("tryPayload", 200, lambda on: on.act("integrations/acme/try", json=[])),
    ("tryPayload", 400, lambda on: on.act("integrations/acme/try", data="{")),
    ("tryPayload", 404, lambda on: on.act("integrations/broken/try", json={})),
    ("tryPayload", 413, lambda on: on.act("integrations/acme/try", json=MANY)),
    ("readStats", 200, lambda on: on.api("stats")),
    ("listDeliveries", 200, lambda on: on.prepared(on.accept(2)).api("deliveries", params={"limit": "1"})),
    ("listDeliveries", 404, lambda on: on.api("deliveries", params={"integration": "nobody"})),
    ("listDeliveries", 422, lambda on: on.api("deliveries", params={"limit": "0"})),
    ("showDelivery", 200, lambda on: on.api(f"deliveries/{on.dead}")),
    ("showDelivery", 404, lambda on: on.api(f"deliveries/{NOBODY}")),
    ("replayDelivery", 202, lambda on: on.act(f"deliveries/{on.dead}/replay", json={"as_mapped": True})),
    ("replayDelivery", 200, lambda on: on.prepared(
        on.web.post({**RESOLVED, "sys_id": sys_id(1), "sys_mod_count": "9"})).act(f"deliveries/{on.dead}/replay")),
    ("replayDelivery", 404, lambda on: on.act(f"deliveries/{NOBODY}/replay")),
    ("replayDelivery", 409, lambda on: on.act(f"deliveries/{on.accept(2)}/replay")),
    ("replayDelivery", 422, lambda on: on.act(f"deliveries/{on.dead}/replay", json=[])),
    ("discardDelivery", 200, lambda on: on.act(f"deliveries/{on.dead}/discard", json={"why": "by hand"})),
    ("discardDelivery", 409, lambda on: on.act(f"deliveries/{on.accept(2)}/discard")),
    ("replayDeliveries", 200, lambda on: on.act("deliveries/replay", json={"integration": "acme"})),
    ("replayDeliveries", 200, lambda on: on.act("deliveries/replay", json={"dry_run": True})),
    ("replayDeliveries", 404, lambda on: on.act("deliveries/replay", json={"integration": "nobody"})),
    ("replayDeliveries", 422, lambda on: on.act("deliveries/replay", json={"since": "yesterday"})),
    ("listRejections", 200, lambda on: on.api("rejections")),
    ("listRejections", 422, lambda on: on.api("rejections", params={"cursor": "x"})),
    ("showRejection", 200, lambda on: on.api(f"rejections/{on.rejection}")),
    ("showRejection", 404, lambda on: on.api(f"rejections/{NOBODY}")),
    ("replayRejection", 409, lambda on: on.act(f"rejections/{on.rejection}/replay")),
    ("listAudit", 200, lambda on: on.prepared(on.act("integrations/acme/park")).api("audit")),
    ("listAudit", 422, lambda on: on.api("audit", params={"type": "nonsense"})),
]  # fmt: skip


@pytest.mark.parametrize(("status", "call"), [pytest.param(*case, id=name) for name, *case in WEBHOOKS])
def test_a_webhook_is_answered_as_documented(stage: Stage, status: int, call: Call) -> None:
    answer = call(stage)

    assert answer.status_code == status, answer.text
    check("receiveWebhook", answer)


@pytest.mark.parametrize(
    ("operation", "status", "call"), [pytest.param(*one, id=f"{one[0]}-{one[1]}") for one in OTHERS]
)
def test_an_answer_is_as_documented(stage: Stage, operation: str, status: int, call: Call) -> None:
    answer = call(stage)

    assert answer.status_code == status, answer.text
    check(operation, answer)


@pytest.mark.parametrize("path", [path for path, *_ in BY_ID.values() if path.startswith("/api/")])
def test_every_path_of_the_operator_api_asks_for_the_token(stage: Stage, path: str) -> None:
    for path_of, method, operation in BY_ID.values():
        if path_of == path:
            answer = requests.request(method, f"{stage.web.url}{path.format_map(_Names())}", timeout=5)

            assert answer.status_code == 401
            check(operation["operationId"], answer)


def test_a_bug_is_answered_as_documented(stage: Stage) -> None:
    key = next(key for key in stage.redis.call("KEYS", "*") if stage.dead in str(key))
    stage.redis.call("HSET", key, "created_at", "no number")
    answer = stage.api(f"deliveries/{stage.dead}")

    assert answer.status_code == 500, answer.text
    check("showDelivery", answer)
    assert "no number" not in answer.text


def test_each_documented_success_is_among_the_answers_that_were_checked() -> None:
    checked = {("receiveWebhook", status) for _, status, _ in WEBHOOKS} | {(one, status) for one, status, _ in OTHERS}
    successes = {
        (name, int(status)) for name, (_, _, told) in BY_ID.items() for status in told["responses"] if status < "300"
    }

    # A rejection that is replayed is below: it needs a mapping that was mended.
    assert successes - checked == {("replayRejection", 202), ("replayRejection", 200)}


class _Names(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "acme"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Relay, RedisServer]]:
    """Web with a journal and with little room, over a Redis of its own."""
    (tmp_path / "redis").mkdir()
    redis = RedisServer(tmp_path / "redis").start()
    relay = Relay(tmp_path, redis.url, {"RELAY_ADMIN_TOKEN": "operator-token-1", "RELAY_MAX_PENDING": "3"})
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9"))
    yield relay, redis
    relay.stop()
    redis.stop()


def test_a_rejection_that_can_be_mapped_by_now_and_a_full_backlog(small: tuple[Relay, RedisServer]) -> None:
    relay, _ = small
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9", fields={"sys_id": "other"}))
    relay.start_web(processes=1)
    rejections = [relay.post({**RESOLVED, "sys_id": sys_id(one), "number": f"INC{one}"}) for one in (1, 1, 2)]
    ids = [answer.json()["rejection_id"] for answer in rejections]
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9"))
    url = f"{relay.url}/api/v1/rejections"

    def replay(which: int) -> requests.Response:
        return requests.post(f"{url}/{ids[which]}/replay", headers=TOKEN, timeout=5)

    wait_until(
        lambda: relay.post({**RESOLVED, "sys_id": sys_id(2)}).status_code == 202, "the mended mapping is at work"
    )
    queued, duplicate = replay(0), replay(2)
    relay.post({**RESOLVED, "sys_id": sys_id(3)})
    full = relay.post({**RESOLVED, "sys_id": sys_id(4)})

    assert (queued.status_code, duplicate.status_code, full.status_code) == (202, 200, 503)
    check("replayRejection", queued)
    check("replayRejection", duplicate)
    check("receiveWebhook", full)
    assert full.json()["title"] == "Backlog full"


@pytest.mark.parametrize("journal", [False, True])
def test_while_redis_is_away_all_is_answered_as_documented(small: tuple[Relay, RedisServer], *, journal: bool) -> None:
    relay, redis = small
    relay.environ |= {"RELAY_JOURNAL": str(relay.folder / "journal")} if journal else {}
    relay.start_web(processes=1)
    delivery = relay.post(RESOLVED).json()["delivery_id"]
    redis.stop()

    answer = relay.post({**RESOLVED, "sys_mod_count": "8"})

    assert answer.status_code == (202 if journal else 503)
    check("receiveWebhook", answer)
    asked = requests.get(f"{relay.url}/webhooks/acme/deliveries/{delivery}", auth=SENDER, timeout=10)
    check("askAfterDelivery", asked)
    ready = requests.get(f"{relay.url}/readyz", timeout=5)
    assert ready.status_code == (200 if journal else 503)
    check("isReady", ready)
    listed = requests.get(f"{relay.url}/api/v1/deliveries", headers=TOKEN, timeout=30)
    assert (asked.status_code, listed.status_code) == (503, 503)
    check("listDeliveries", listed)


def test_without_a_token_the_operator_api_is_404_as_documented(small: tuple[Relay, RedisServer]) -> None:
    relay, _ = small
    del relay.environ["RELAY_ADMIN_TOKEN"]
    relay.start_web(processes=1)

    answer = requests.get(f"{relay.url}/api/v1/stats", headers=TOKEN, timeout=5)

    assert answer.status_code == 404
    check("readStats", answer)


def test_who_posts_too_fast_is_told_so_as_documented(small: tuple[Relay, RedisServer]) -> None:
    relay, _ = small
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9", rate_limit=1))
    relay.start_web(processes=1)

    answers = [relay.post(RESOLVED) for _ in range(5)]

    assert 429 in {answer.status_code for answer in answers}
    for answer in answers:
        check("receiveWebhook", answer)
