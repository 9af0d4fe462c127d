"""The callers of the simulated IEM: their credentials and customers. `simulated_iem.py` applies the calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay.simulators.exchange import SimulatorRequest
from relay.simulators.iem_refusals import Refusal
from relay.simulators.iem_tokens import IssuedTokens

TOKEN_COOKIE = "access_token"  # noqa: S105 - the cookie's name


@dataclass(frozen=True, slots=True)
class ApiUser:
    """A user with IEM credentials. Without `is_api_user` it is a user of the web UI, which these APIs refuse."""

    email: str
    password: str = field(repr=False)
    customers: frozenset[str]
    is_api_user: bool = True


@dataclass(frozen=True, slots=True)
class Installation:
    """The initial state of a simulated IEM."""

    users: tuple[ApiUser, ...]
    #: Customer id → whether the customer is active.
    customers: Mapping[str, bool]
    integrations: frozenset[str]
    #: The tickets that have an actionable; None: all tickets.
    sys_ids: frozenset[str] | None = None
    #: Lifetime of an access token (seconds).
    token_lifetime: float = 1800
    jwt: bool = False


class IemAccess:
    """Users, customers and tokens of one simulated IEM. Not thread-safe: the owner locks."""

    def __init__(self, installation: Installation, now: Callable[[], float]) -> None:
        self.users = {user.email: user for user in installation.users}
        self.customers = dict(installation.customers)
        self.tokens = IssuedTokens(installation.token_lifetime, jwt=installation.jwt, now=now)

    def by_password(self, request: SimulatorRequest) -> ApiUser | None:
        """Return the user of the request's basic credentials."""
        email, password = request.basic() or ("", "")
        user = self.users.get(email)
        return user if user and user.password == password else None

    def by_token(self, request: SimulatorRequest) -> ApiUser | Refusal:
        """Return the API user of the access token in the request's cookie, or the refusal."""
        token = request.cookie(TOKEN_COOKIE)
        if token is None:
            return Refusal.MISSING
        owner = self.tokens.owner(token)
        return owner if isinstance(owner, Refusal) else _admit(self.users.get(owner))

    def by_either(self, request: SimulatorRequest) -> ApiUser | Refusal:
        """Return the API user of a push: by token if it has the cookie, otherwise by password (IEM guide 4.3.1)."""
        if request.cookie(TOKEN_COOKIE) is not None:
            return self.by_token(request)
        authorization = request.headers.get("authorization")
        if authorization is None:
            return Refusal.ACCESS_DENIED
        if not authorization.lower().startswith("basic "):
            return Refusal.NO_AUTHORIZATION
        user = self.by_password(request)
        return Refusal.BAD_CREDENTIALS if user is None else _admit(user)

    def refuse(self, user: ApiUser, customer: str) -> Refusal | None:
        """Return the refusal of an inactive or unknown customer, or of a customer that the user is not associated with."""
        if not self.customers.get(customer, False):
            return Refusal.INACTIVE_CUSTOMER
        return None if customer in user.customers else Refusal.NOT_ASSOCIATED


def _admit(user: ApiUser | None) -> ApiUser | Refusal:
    return user if user and user.is_api_user else Refusal.ACCESS_DENIED
