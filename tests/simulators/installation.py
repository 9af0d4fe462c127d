"""The installation of the simulated IEM in these tests, and requests to it."""

from __future__ import annotations

from collections.abc import Callable

import requests

from relay.simulators.iem_access import ApiUser, Installation

START = 1_700_000_000.0
RELAY = ApiUser("relay@example.com", "s3:cret", frozenset({"ACME", "GONE"}))
UI_USER = ApiUser("ui@example.com", "ui-pass", frozenset({"ACME"}), is_api_user=False)
#: The user name and password of the relay.
CREDENTIALS = (RELAY.email, RELAY.password)
INSTALLATION = Installation(
    users=(RELAY, UI_USER),
    customers={"ACME": True, "GONE": False, "OTHER": True, "A B": True},
    integrations=frozenset({"42"}),
    token_lifetime=60,
)
TOKEN = "/api/v1/user/token"
PUSH = "/gbp/push/ACME?integrationid=42"
HEALTH = "/publish/healthcheck/"
TICKET = "9d385017c611228701d22104cc95c371"
RESOLVED = {"state": 6, "sysid": TICKET}

Caller = Callable[..., requests.Response]


class ManualClock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


def fetch_token(call: Caller, user: ApiUser = RELAY) -> str:
    """Return a new access token of `user`."""
    answer = call("POST", TOKEN, auth=(user.email, user.password))
    assert answer.status_code == 200
    return str(answer.json()["data"]["access_token"])
