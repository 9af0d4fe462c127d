"""The session of the service account. All threads share it; it is opened at the first use, and replaced when it has ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from relay.virima.login_service import LoginSession, VirimaClient
from relay.virima.results import Failed, Found, MfaPending, NotFound, Refused

#: The results of a login that opened no session.
NotLoggedIn = MfaPending | NotFound | Refused | Failed


@dataclass(frozen=True, slots=True, eq=False)
class OpenedSession:
    """The session, and whether it was opened just now. A refusal in a new session does not mean that it has ended."""

    session: LoginSession
    is_new: bool


class ServiceSession:
    """Logs the service account in, in one thread at a time. Threads that wait for a login share its result."""

    def __init__(self, client: VirimaClient, *, timeout: float) -> None:
        """`timeout` is for one call (seconds)."""
        self._client = client
        self._timeout = timeout
        self._lock = threading.Lock()
        self._session: LoginSession | None = None
        self._replaced: LoginSession | None = None
        self._answer: NotLoggedIn | None = None
        self._logins = 0

    def get(self, *, instead_of: LoginSession | None = None) -> OpenedSession | NotLoggedIn:
        """Return the session, or the result of a failed login. Log in if there is no session, or only `instead_of`."""
        seen = self._logins
        with self._lock:
            if self._session is not None and self._session is not instead_of:
                return OpenedSession(self._session, is_new=self._logins != seen)
            if self._answer is not None and self._logins != seen:
                return self._answer
            session, unused = LoginSession(), self._replaced
            answer = self._client.log_in_service(session, timeout=self._timeout)
            self._logins += 1
            # Other threads can still use the replaced session, so it ends at the next replacement.
            self._replaced, self._session = self._session, session if isinstance(answer, Found) else None
            self._answer = None if isinstance(answer, Found) else answer
        if unused is not None:
            self._client.log_out(unused, timeout=self._timeout)
        if isinstance(answer, Found):
            return OpenedSession(session, is_new=True)
        self._client.log_out(session, timeout=self._timeout)
        return answer

    def end(self) -> None:
        """Log the service account out."""
        with self._lock:
            sessions = [session for session in (self._replaced, self._session) if session]
            self._replaced = self._session = None
        for session in sessions:
            self._client.log_out(session, timeout=self._timeout)
