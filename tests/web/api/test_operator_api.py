"""The operator API as a whole: its token and its errors. The calls have their own modules."""

from __future__ import annotations

import pytest
import requests
from harness import Relay
from web.openapi_answers import BY_ID, check
from web.scenario import Scenario, call_api


@pytest.mark.parametrize("token", [None, "", "wrong", "operator-token-1 ", "öperator"])
def test_a_call_without_the_right_token_is_401(web: Relay, token: str | None) -> None:
    headers = {"Authorization": f"Bearer {token.encode().decode('latin-1')}"} if token else {}
    answer = call_api(web, "integrations", headers=headers)

    assert answer.status_code == (200 if token == "operator-token-1 " else 401)
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


class _Names(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "acme"


@pytest.mark.parametrize("path", [path for path, *_ in BY_ID.values() if path.startswith("/api/")])
def test_every_path_requires_the_token(scenario: Scenario, path: str) -> None:
    for operation_path, method, operation in BY_ID.values():
        if operation_path == path:
            answer = requests.request(method, f"{scenario.web.url}{path.format_map(_Names())}", timeout=5)

            assert answer.status_code == 401
            check(operation["operationId"], answer)


def test_an_internal_error_matches_the_document(scenario: Scenario) -> None:
    key = next(key for key in scenario.redis.call("KEYS", "*") if scenario.dead_letter in str(key))
    scenario.redis.call("HSET", key, "created_at", "not a number")

    answer = scenario.api(f"deliveries/{scenario.dead_letter}")

    assert answer.status_code == 500, answer.text
    check("showDelivery", answer)
    assert "not a number" not in answer.text


@pytest.mark.parametrize("path", ["deliveries", "rejections", "audit"])
def test_an_unknown_parameter_is_refused_by_name(web: Relay, path: str) -> None:
    answer = call_api(web, path, params={"integraton": "acme"})

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("Unknown parameter integraton. Known parameters: integration,")


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("integrations/acme/park", {"reason": "tonight"}, "Unknown member reason. Known members: why"),
        ("deliveries/{}/replay", {"as_mapped": "false"}, "Invalid as_mapped: expected true or false"),
        ("deliveries/{}/discard", {"wy": "by hand"}, "Unknown member wy"),
        ("deliveries/replay", {"dryrun": True}, "Unknown member dryrun"),
        ("deliveries/replay", {"integration": ["acme"]}, "Invalid integration: expected text"),
        ("deliveries/replay", {"integration": ""}, "Invalid integration: expected text"),
        ("deliveries/replay", {"status": "discarded"}, "Invalid status: expected dead"),
    ],
)
def test_a_wrong_member_is_refused_by_name_and_changes_nothing(
    scenario: Scenario, path: str, body: dict[str, object], detail: str
) -> None:
    answer = scenario.post(path.format(scenario.dead_letter), json=body)

    assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (422, detail)
    assert len(scenario.api("deliveries", params={"status": "dead"}).json()["items"]) == 1


def test_a_body_that_is_not_an_object_is_refused(scenario: Scenario) -> None:
    assert scenario.post("integrations/acme/park", data="[1]").status_code == 422
    assert scenario.post("integrations/acme/park", data="{").status_code == 400
    assert scenario.post("integrations/acme/park", json={"why": 7}).status_code == 422
