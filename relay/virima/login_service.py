"""The seven operations of Virima's LoginService (docs/development/virima-contract.md)."""

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
    LoginCredentialSchema,
    ResetPasswordSchema,
    SetUpWizardSchema,
    request_body,
)
from relay.virima.results import NoSession, Response, TransactionMessage, Unanswered, UserAnswer

_LOGOUT = "/login/dologout"


@dataclass(frozen=True, slots=True, eq=False)
class LoginSession:
    """The session of a user: the cookies that the server set for it. No other session shares them."""

    cookies: SessionCookies = field(default_factory=SessionCookies)


class VirimaClient:
    """Calls Virima as one service account. Threads share it. No answer of Virima raises an exception.

    Every `timeout` is for the whole call (seconds). `more` has further members of a Credential, with the names of the
    specification. A request body that violates the specification raises RequestBodyError.
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
        """Log a user in; `session` receives the cookies."""
        body = request_body(LoginCredentialSchema, {**(more or {}), "email": email, "password": password})
        return classify_user(self._post("/login/dologin", body, timeout=timeout, keep_in=session))

    def log_in_service(self, session: LoginSession, *, timeout: float) -> UserAnswer:
        """Log the service account in; `session` receives the cookies."""
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
        """Open a session of another user in `session`. `by`, the session of the service account, remains open."""
        body = request_body(CredentialSchema, {**(more or {}), "email": email})
        reply = self._post("/login/dologin-impersonate", body, timeout=timeout, session=by, keep_in=session)
        # If the server repeats the cookies of `by`, a later log-out of `session` must not end `by`.
        session.cookies.drop_those_of(by.cookies)
        return classify_user(reply, asked=email)

    def log_out(self, session: LoginSession, *, timeout: float) -> TransactionMessage | NoSession | Unanswered:
        """End a session. Without a cookie of the server nothing is sent, because the call could end another session."""
        if not self._caller.has_cookies_for(_LOGOUT, session.cookies):
            return NoSession()
        return classify_logout(self._call("GET", _LOGOUT, None, timeout=timeout, session=session))

    def logged_in_user(self, session: LoginSession, *, timeout: float) -> UserAnswer:
        """Return the user of the session."""
        reply = self._call("GET", "/login/get-logged-in-user", None, timeout=timeout, session=session, keep_in=session)
        return classify_user(reply)

    def send_reset_mail(
        self, email: str, *, timeout: float, more: Mapping[str, Any] | None = None
    ) -> Response | Unanswered:
        """Let Virima send a user the mail for resetting the password."""
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
        """Set the password of a user."""
        content = {"email": email, "instance": instance, "password": password}
        body = request_body(ResetPasswordSchema, {**content, "directPasswordChange": direct_password_change})
        return classify_response(self._post("/login/reset-password", body, timeout=timeout))

    def set_up(self, email: str, password: str, *, timeout: float, wizard_json: str | None = None) -> UserAnswer:
        """Send the set-up wizard of a new installation its input."""
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
        return self._caller.exchange(
            method,
            path,
            headers=headers,
            body=body,
            timeout=timeout,
            cookies=session.cookies if session else None,
            keep_in=keep_in.cookies if keep_in else None,
        )
