"""Who may call the simulated IEM, and for which customer. What a call then does is `iem`'s business."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay.simulators.exchange import SimulatorRequest
from relay.simulators.iem_refusals import Refusal
from relay.simulators.iem_tokens import IssuedTokens

TOKEN_COOKIE = "access_token"  # noqa: S105 - the cookie's name


@dataclass(frozen=True, slots=True)
class ApiUser:
    """Somebody with IEM credentials; with `is_api_user` off a user of the web UI, whom these APIs refuse."""

    email: str
    password: str = field(repr=False)
    customers: frozenset[str]
    is_api_user: bool = True


@dataclass(frozen=True, slots=True)
class Installation:
    """What a simulated IEM knows at its start."""

    users: tuple[ApiUser, ...]
    #: Customer id to whether it is active.
    customers: Mapping[str, bool]
    integrations: frozenset[str]
    #: The tickets with an actionable; None: every ticket has one.
    sys_ids: frozenset[str] | None = None
    #: Seconds that an access token is good for.
    token_lifetime: float = 1800
    jwt: bool = False


class IemAccess:
    """Users, customers and tokens of one simulated IEM. Not locked: its owner is."""

    def __init__(self, installation: Installation, now: Callable[[], float]) -> None:
        """Start with what that installation knows."""
        self.users = {user.email: user for user in installation.users}
        self.customers = dict(installation.customers)
        self.tokens = IssuedTokens(installation.token_lifetime, jwt=installation.jwt, now=now)

    def by_password(self, request: SimulatorRequest) -> ApiUser | None:
        """Return the user whose basic credentials the request carries."""
        email, password = request.basic() or ("", "")
        user = self.users.get(email)
        return user if user and user.password == password else None

    def by_token(self, request: SimulatorRequest) -> ApiUser | Refusal:
        """Return the API user whose access token the request's cookie carries, or the refusal."""
        token = request.cookie(TOKEN_COOKIE)
        if token is None:
            return Refusal.MISSING
        owner = self.tokens.owner(token)
        return owner if isinstance(owner, Refusal) else _admit(self.users.get(owner))

    def by_either(self, request: SimulatorRequest) -> ApiUser | Refusal:
        """Return the API user of a push: by token where it has the cookie, else by password (guide 4.3.1)."""
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
        """Refuse an inactive or unknown customer, and then one that the user lacks."""
        if not self.customers.get(customer, False):
            return Refusal.INACTIVE_CUSTOMER
        return None if customer in user.customers else Refusal.NOT_ASSOCIATED


def _admit(user: ApiUser | None) -> ApiUser | Refusal:
    return user if user and user.is_api_user else Refusal.ACCESS_DENIED
