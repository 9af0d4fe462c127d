"""The service account's session: one for all threads, made when it is first wanted, made anew when it is no good."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from relay.virima.login_service import LoginSession, VirimaClient
from relay.virima.results import Failed, Found, MfaPending, NotFound, Refused

#: What a login came to that gave no session.
NotLoggedIn = MfaPending | NotFound | Refused | Failed


@dataclass(frozen=True, slots=True, eq=False)
class Lent:
    """The session, and whether it was made just now: then a refusal is not for its age."""

    session: LoginSession
    is_new: bool


class ServiceSession:
    """Logs the service account in, by one thread at a time; those who wait for it share what came of it, good or bad."""

    def __init__(self, client: VirimaClient, *, timeout: float) -> None:
        """`timeout`: of one call (seconds)."""
        self._client = client
        self._timeout = timeout
        self._lock = threading.Lock()
        self._session: LoginSession | None = None
        self._replaced: LoginSession | None = None
        self._answer: NotLoggedIn | None = None
        self._logins = 0

    def get(self, *, instead_of: LoginSession | None = None) -> Lent | NotLoggedIn:
        """Return the session, a new one where there is none or only `instead_of`; or what the login came to."""
        seen = self._logins
        with self._lock:
            if self._session is not None and self._session is not instead_of:
                return Lent(self._session, is_new=self._logins != seen)
            if self._answer is not None and self._logins != seen:
                return self._answer
            session, outlived = LoginSession(), self._replaced
            answer = self._client.log_in_service(session, timeout=self._timeout)
            self._logins += 1
            # Other threads may still be at work in the session that is replaced: it is ended a turn later.
            self._replaced, self._session = self._session, session if isinstance(answer, Found) else None
            self._answer = None if isinstance(answer, Found) else answer
        if outlived is not None:
            self._client.log_out(outlived, timeout=self._timeout)
        if isinstance(answer, Found):
            return Lent(session, is_new=True)
        self._client.log_out(session, timeout=self._timeout)
        return answer

    def end(self) -> None:
        """Log the service account out."""
        with self._lock:
            sessions = [one for one in (self._replaced, self._session) if one]
            self._replaced = self._session = None
        for session in sessions:
            self._client.log_out(session, timeout=self._timeout)
