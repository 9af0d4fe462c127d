"""Virima's LoginService: its seven operations (contract, "Virima LoginService REST API")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from relay.http.caller import Caller, Reply
from relay.http.cookies import SessionCookies
from relay.http.credentials import Credentials
from relay.virima.classification import classify_logout, classify_response, classify_user
from relay.virima.login_schemas import (
    SECRETS,
    CredentialSchema,
    ProvenCredentialSchema,
    ResetPasswordSchema,
    SetUpWizardSchema,
    request_body,
)
from relay.virima.results import NoSession, Response, TransactionMessage, Unanswered, UserAnswer

_LOGOUT = "/login/dologout"


@dataclass(frozen=True, slots=True, eq=False)
class LoginSession:
    """Somebody's session: the cookies that the server set for it, which no other session shares."""

    cookies: SessionCookies = field(default_factory=SessionCookies)


class VirimaClient:
    """Virima as one service account calls it. Threads share it. Nothing raises on what Virima answers.

    Every `timeout` is in seconds, for the whole call. `more` holds further members of a Credential, by the names of the
    specification. RequestBodyError where a body is not as the specification has it.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        ca_file: str | None = None,
        connections: int = 8,
        proxy: str | None = None,
    ) -> None:
        self._caller = Caller(url, ca_file=ca_file, connections=connections, proxy=proxy, omit=SECRETS)
        self._credentials = credentials

    def log_in(
        self, email: str, password: str, session: LoginSession, *, timeout: float, more: Mapping[str, Any] | None = None
    ) -> UserAnswer:
        """Log a user in; the cookies go into `session`."""
        body = request_body(ProvenCredentialSchema, {**(more or {}), "email": email, "password": password})
        return classify_user(self._post("/login/dologin", body, timeout=timeout, keep_in=session))

    def log_in_service(self, session: LoginSession, *, timeout: float) -> UserAnswer:
        """Log the service account itself in; the cookies go into `session`."""
        return self.log_in(self._credentials.username, self._credentials.password, session, timeout=timeout)

    def impersonate(
        self,
        email: str,
        session: LoginSession,
        *,
        by: LoginSession,
        timeout: float,
        more: Mapping[str, Any] | None = None,
    ) -> UserAnswer:
        """Become another user: `by` is the service account's session, and stays as it is; `session` is the new one's."""
        body = request_body(CredentialSchema, {**(more or {}), "email": email})
        reply = self._post("/login/dologin-impersonate", body, timeout=timeout, session=by, keep_in=session)
        # A server that sends the caller's own cookies again must not have us log the service account out by them.
        session.cookies.drop_those_of(by.cookies)
        return classify_user(reply, asked=email)

    def log_out(self, session: LoginSession, *, timeout: float) -> TransactionMessage | NoSession | Unanswered:
        """End a session; where the server had set no cookie nothing is asked: it could end another one."""
        if not self._caller.has_cookies_for(_LOGOUT, session.cookies):
            return NoSession()
        return classify_logout(self._call("GET", _LOGOUT, None, timeout=timeout, session=session))

    def logged_in_user(self, session: LoginSession, *, timeout: float) -> UserAnswer:
        """Return whose session it is."""
        reply = self._call("GET", "/login/get-logged-in-user", None, timeout=timeout, session=session, keep_in=session)
        return classify_user(reply)

    def send_reset_mail(
        self, email: str, *, timeout: float, more: Mapping[str, Any] | None = None
    ) -> Response | Unanswered:
        """Have Virima send a user the mail by which a password is reset."""
        body = request_body(CredentialSchema, {**(more or {}), "email": email})
        return classify_response(self._post("/login/reset-password-send-mail", body, timeout=timeout))

    def reset_password(
        self,
        email: str,
        password: str,
        *,
        timeout: float,
        instance: str | None = None,
        direct_password_change: bool | None = None,
    ) -> Response | Unanswered:
        """Set a user's password."""
        content = {"email": email, "instance": instance, "password": password}
        body = request_body(ResetPasswordSchema, {**content, "directPasswordChange": direct_password_change})
        return classify_response(self._post("/login/reset-password", body, timeout=timeout))

    def set_up(self, email: str, password: str, *, timeout: float, wizard_json: str | None = None) -> UserAnswer:
        """Tell a new installation what its wizard asks for."""
        content = {"email": email, "password": password, "wizardJson": wizard_json}
        body = request_body(SetUpWizardSchema, content)
        return classify_user(self._post("/login/initial-set-up-wizard", body, timeout=timeout))

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()

    def _post(
        self,
        path: str,
        body: bytes,
        *,
        timeout: float,
        session: LoginSession | None = None,
        keep_in: LoginSession | None = None,
    ) -> Reply:
        return self._call("POST", path, body, timeout=timeout, session=session, keep_in=keep_in)

    def _call(
        self,
        method: Literal["GET", "POST"],
        path: str,
        body: bytes | None,
        *,
        timeout: float,
        session: LoginSession | None = None,
        keep_in: LoginSession | None = None,
    ) -> Reply:
        headers = {"Authorization": self._credentials.basic}
        if body is not None:
            headers["Content-Type"] = "application/json"
        cookies, kept = (one.cookies if one else None for one in (session, keep_in))
        return self._caller.exchange(
            method, path, headers=headers, body=body, timeout=timeout, cookies=cookies, keep_in=kept
        )
