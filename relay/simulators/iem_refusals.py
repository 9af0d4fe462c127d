"""The refusals with a text of their own (IEM guide sections 3 to 5)."""

from enum import Enum

from relay.simulators.exchange import SimulatorResponse, message


class Refusal(Enum):
    """A refusal: its status and its text, which is the exact text of the guide if the guide has one."""

    INVALID = (401, "Invalid access token")
    EXPIRED = (401, "Access token has expired")
    MISSING = (401, "Missing access token")
    INACTIVE_CUSTOMER = (401, "Data has been sent for inactive customer")
    NOT_ASSOCIATED = (401, "User is not associated with the customer")
    NO_AUTHORIZATION = (401, "An authorization was expected and not found")
    ACCESS_DENIED = (403, "Access denied")
    BAD_CREDENTIALS = (403, "Invalid credentials")
    NOT_FOUND = (404, "One or more objects specified in the request could not be found")

    @property
    def answer(self) -> SimulatorResponse:
        """Return the refusal as IEM sends it."""
        return message(*self.value)
