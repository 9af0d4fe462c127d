"""The people that the simulated Virima knows, and their UserDetails, which contain secrets as in the real Virima."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.simulators.virima_bodies import USER_DETAILS


@dataclass(frozen=True, slots=True)
class Person:
    """A person with a Virima account. With `service` it is a service account, which can call the API.

    `details` sets further fields of UserDetails. The default password is random.
    """

    email: str
    display_name: str
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    service: bool = False
    #: The second factor is required and not given yet: `enableMFA` true, `mfaChecked` false.
    mfa_pending: bool = False
    organization: str = "Example Organization"
    details: Mapping[str, int | str | bool] = field(default_factory=dict)
    two_factor_key: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)

    def __post_init__(self) -> None:
        """Refuse fields that UserDetails does not have."""
        if unknown := self.details.keys() - USER_DETAILS.keys():
            raise ValueError(f"UserDetails has no {', '.join(sorted(unknown))}")

    def user_details(self, number: int, session_id: str) -> dict[str, int | str | bool]:
        """Return the UserDetails of this person, with password, session id and second-factor key."""
        first, _, last = self.display_name.partition(" ")
        return {
            **USER_DETAILS,
            "id": number,
            "email": self.email,
            "userName": self.email,
            "displayName": self.display_name,
            "firstName": first,
            "lastName": last,
            "organizationName": self.organization,
            "isEndUser": not self.service,
            "language": "en",
            "timezone": "UTC",
            "enableMFA": self.mfa_pending,
            "mfaType": "totp" if self.mfa_pending else "",
            **self.details,
            "password": self.password,
            "sessionId": session_id,
            "twoFactorSecretKey": self.two_factor_key,
        }
