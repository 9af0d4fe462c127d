"""The meanings of Virima's answers as values. None of them contains a password, session id or second-factor key."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.virima.lookup_reasons import LookupReason


@dataclass(frozen=True, slots=True)
class UserDetails:
    """A user in Virima, without its secrets. Missing and invalid values are None."""

    id: int
    email: str | None = None
    user_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    display_name: str | None = None
    phone: str | None = None
    unique_id: str | None = None
    time_stamp: str | None = None
    file_name: str | None = None
    bucket_name: str | None = None
    wiki_link: str | None = None
    logo_pic: str | None = None
    theme: str | None = None
    url: str | None = None
    landing_page: str | None = None
    currency: str | None = None
    language: str | None = None
    is_local_storage: str | None = None
    download_link: str | None = None
    storage_type: str | None = None
    drive_link: str | None = None
    drive_link_for_organization: str | None = None
    chat_server_address: str | None = None
    organization_name: str | None = None
    service_now_domain: str | None = None
    server_port: str | None = None
    netty_port: str | None = None
    sever_address: str | None = None
    ivanti_domain: str | None = None
    jira_domain: str | None = None
    subscribed_modules: str | None = None
    mfa_type: str | None = None
    timezone: str | None = None
    is_admin: bool | None = None
    is_end_user: bool | None = None
    is_customer: bool | None = None
    is_vendor: bool | None = None
    is_super_admin: bool | None = None
    is_super_end_user: bool | None = None
    integration_enabled: bool | None = None
    is_cherwell_integration_enabled: bool | None = None
    new_ui_enabled: bool | None = None
    enable_mfa: bool | None = None
    mfa_checked: bool | None = None

    @property
    def is_mfa_pending(self) -> bool:
        """Whether a second factor is required and not known to be given."""
        return self.enable_mfa is True and self.mfa_checked is not True


@dataclass(frozen=True, slots=True)
class TransactionMessage:
    """The answer of dologout. Its text comes from the server, so the repr does not contain it."""

    id: int
    record_id: str | None = None
    message: str | None = field(default=None, repr=False)
    status: bool | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """The answer of the operations on passwords. Its text comes from the server, so the repr does not contain it."""

    id: int
    response: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """Virima knows the user."""

    status: int
    user: UserDetails


@dataclass(frozen=True, slots=True)
class MfaPending:
    """Virima knows the user, but requires a second factor: the session cannot be relied on."""

    status: int
    user: UserDetails


@dataclass(frozen=True, slots=True)
class NotFound:
    """There is no such user."""

    status: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Virima refuses this call to the account or the session."""

    status: int
    reason: LookupReason = LookupReason.REFUSED


@dataclass(frozen=True, slots=True)
class Failed:
    """There was no usable answer. `detail` is for people, and contains nothing of the answer."""

    status: int | None
    reason: LookupReason
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class NoSession:
    """Nothing was sent, because the server had set no cookie: there is no session to end."""


Unanswered = NotFound | Refused | Failed
UserAnswer = Found | MfaPending | Unanswered
