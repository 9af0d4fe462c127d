"""HCL IEM as its API guide describes it: the token call, the push of ticket updates, and the publish service.

No sockets here. `iem_access.py` has the callers, `iem_bodies.py` the bodies.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from secrets import token_urlsafe
from typing import Any
from urllib.parse import unquote

from relay.simulators.exchange import Operation, SimulatorRequest, SimulatorResponse, message, reply, wrong_method
from relay.simulators.iem_access import ApiUser, IemAccess, Installation
from relay.simulators.iem_bodies import PUBLICATIONS, PUSH
from relay.simulators.iem_refusals import Refusal
from relay.simulators.shape import checked_body

TOKEN_PATH = "/api/v1/user/token"  # noqa: S105 - a path
PUSH_PATH = "/gbp/push/"
HEALTHCHECK_PATH = "/publish/healthcheck/"


@dataclass(frozen=True, slots=True)
class Push:
    """An applied ticket update; `at` is in seconds since the epoch."""

    customer: str
    integration: str
    state: int
    sysid: str
    at: float


class SimulatedIem:
    """A simulated IEM; its attributes list what it applied, in order."""

    def __init__(self, installation: Installation, *, clock: Callable[[], float] = time.time) -> None:
        """Start with the state of that installation; `clock` returns seconds since the epoch."""
        self._installation = installation
        self._clock = clock
        self._lock = threading.RLock()
        self._push_route: Mapping[str, Operation] = {"POST": self._push}
        self._routes: dict[str, dict[str, Operation]] = {
            TOKEN_PATH: {"POST": self._issue_token},
            **{path: {"POST": self._publish} for path in PUBLICATIONS},
        }
        self._routes[HEALTHCHECK_PATH]["GET"] = _health_check
        self.reset()

    def reset(self) -> None:
        """Restore the state right after construction."""
        known = self._installation
        with self._lock:
            self.access = IemAccess(known, self._clock)
            self.integrations = set(known.integrations)
            self.sys_ids = None if known.sys_ids is None else set(known.sys_ids)
            self.token_calls = 0
            self.pushes: list[Push] = []
            self.actionables: dict[str, int] = {}
            self.published: dict[str, list[dict[str, Any]]] = {
                publication.kind: [] for publication in PUBLICATIONS.values()
            }

    def now(self) -> float:
        """Return the simulator's time in seconds since the epoch."""
        return self._clock()

    def revoke(self) -> int:
        """Make every access token invalid, and return the number of those that were valid."""
        with self._lock:
            return self.access.tokens.revoke()

    def set_user(self, user: ApiUser) -> None:
        """Add a user, or replace the user with the same email address."""
        with self._lock:
            self.access.users[user.email] = user

    def set_customer(self, customer: str, *, active: bool) -> None:
        """Add a customer, or make it active or inactive."""
        with self._lock:
            self.access.customers[customer] = active

    def set_token_lifetime(self, seconds: float) -> None:
        """Set the lifetime of the tokens that are issued from now on."""
        with self._lock:
            self.access.tokens.lifetime = seconds

    def open_actionables(self, *sys_ids: str) -> None:
        """Open an actionable for each of these tickets; no effect if every ticket has one."""
        with self._lock:
            if self.sys_ids is not None:
                self.sys_ids.update(sys_ids)

    def state(self) -> dict[str, object]:
        """Return the state of IEM and what it applied as JSON values, without credentials."""
        with self._lock:
            return {
                "users": [_describe(user) for user in self.access.users.values()],
                "customers": dict(self.access.customers),
                "integrations": sorted(self.integrations),
                "sys_ids": None if self.sys_ids is None else sorted(self.sys_ids),
                "token_calls": self.token_calls,
                "tokens_issued": self.access.tokens.issued,
                "tokens_live": self.access.tokens.live(),
                "pushes": [asdict(push) for push in self.pushes],
                "actionables": dict(self.actionables),
                "published": {kind: list(bodies) for kind, bodies in self.published.items()},
            }

    def answer(self, request: SimulatorRequest) -> SimulatorResponse:
        """Apply one request and return the answer."""
        route = self._push_route if _pushed_customer(request) else self._routes.get(request.path)
        if route is None:
            return Refusal.NOT_FOUND.answer
        operation = route.get(request.method)
        if operation is None:
            return wrong_method(route)
        with self._lock:
            return operation(request)

    def _issue_token(self, request: SimulatorRequest) -> SimulatorResponse:
        """Generate a token (IEM guide section 3), also for a UI user, who is refused when the token is used."""
        self.token_calls += 1
        user = self.access.by_password(request)
        if user is None:
            return reply(401, {"detail": "Invalid username/password."})
        data = {
            "email": user.email,
            "name": user.email.partition("@")[0],
            "is_superadmin": False,
            "access_token": self.access.tokens.issue(user.email),
            "refresh_token": token_urlsafe(32),
            "associated_with_customers": [{"customerid": customer} for customer in sorted(user.customers)],
        }
        return reply(200, {"status_code": 200, "data": data, "msg": ""})

    def _push(self, request: SimulatorRequest) -> SimulatorResponse:
        """Fetch a ticket update (IEM guide section 4.3)."""
        user = self.access.by_either(request)
        if isinstance(user, Refusal):
            return user.answer
        body = checked_body(request, PUSH)
        if isinstance(body, SimulatorResponse):
            return body
        customer = _pushed_customer(request)
        if refusal := self.access.refuse(user, customer):
            return refusal.answer
        integration = request.query("integrationid")
        if integration is None or not self._knows(integration, body["sysid"]):
            return Refusal.NOT_FOUND.answer
        self.pushes.append(Push(customer, integration, body["state"], body["sysid"], self._clock()))
        self.actionables[body["sysid"]] = body["state"]
        return message(200, "Success")

    def _publish(self, request: SimulatorRequest) -> SimulatorResponse:
        """Accept one body of the publish service (IEM guide section 5), which requires a token."""
        user = self.access.by_token(request)
        if isinstance(user, Refusal):
            return user.answer
        publication = PUBLICATIONS[request.path]
        body = checked_body(request, publication.body)
        if isinstance(body, SimulatorResponse):
            return body
        if refusal := self.access.refuse(user, body[publication.customer_field]):
            return refusal.answer
        self.published[publication.kind].append(body)
        return message(200, "Data published successfully")

    def _knows(self, integration: str, sys_id: str) -> bool:
        return integration in self.integrations and (self.sys_ids is None or sys_id in self.sys_ids)


def _health_check(_: SimulatorRequest) -> SimulatorResponse:
    return message(200, "API is running")


def _pushed_customer(request: SimulatorRequest) -> str:
    """Return the customer id of a push, or an empty text if the path is not that of a push."""
    customer = request.path.removeprefix(PUSH_PATH)
    return "" if customer == request.path or "/" in customer else unquote(customer)


def _describe(user: ApiUser) -> dict[str, object]:
    return {"email": user.email, "customers": sorted(user.customers), "is_api_user": user.is_api_user}
