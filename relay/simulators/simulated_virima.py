"""The seven operations of Virima's LoginService as its specification describes them. No sockets here.

Every request needs `Authorization: Basic` of a service account. The cookie `JSESSIONID` or the `oldSessionId` of a
Credential identifies a session. The specification does not define failures; here they are 400, 401, 403 and 404 with a
`message`.
"""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from relay.simulators.exchange import Operation, SimulatorRequest, SimulatorResponse, message, reply, wrong_method
from relay.simulators.shape import checked_body
from relay.simulators.virima_bodies import LOGIN_CREDENTIAL, RESET_PASSWORD, SET_UP_WIZARD, USER_CREDENTIAL
from relay.simulators.virima_people import Person

SESSION_COOKIE = "JSESSIONID"


@dataclass(frozen=True, slots=True)
class IssuedSession:
    """An open session; `impersonated_by` is empty if the user logged in."""

    email: str
    impersonated_by: str
    since: float


class SimulatedVirima:
    """A simulated Virima; its attributes list the sessions and the calls."""

    def __init__(
        self, people: Iterable[Person], *, base_path: str = "/www_em/", clock: Callable[[], float] = time.time
    ) -> None:
        """Start with these people, including service accounts; `clock` returns seconds since the epoch."""
        self.base_path = f"/{base_path.strip('/')}/".replace("//", "/")
        self._people = tuple(people)
        self._clock = clock
        self._lock = threading.RLock()
        self._operations: dict[str, tuple[str, Operation]] = {
            "login/dologin": ("POST", self._log_in),
            "login/dologin-impersonate": ("POST", self._impersonate),
            "login/dologout": ("GET", self._log_out),
            "login/get-logged-in-user": ("GET", self._return_user),
            "login/reset-password-send-mail": ("POST", self._send_reset_mail),
            "login/reset-password": ("POST", self._reset_password),
            "login/initial-set-up-wizard": ("POST", self._set_up),
        }
        self.reset()

    def reset(self) -> None:
        """Restore the state right after construction."""
        with self._lock:
            self.people = {person.email: person for person in self._people}
            self._numbers = {person.email: number for number, person in enumerate(self._people, start=1001)}
            self.sessions: dict[str, IssuedSession] = {}
            self.calls: Counter[str] = Counter()
            self.reset_mails: list[str] = []
            self.wizards: list[tuple[str, str]] = []
            self._secrets_sent: set[str] = set()

    def now(self) -> float:
        """Return the simulator's time in seconds since the epoch."""
        return self._clock()

    def revoke(self) -> int:
        """End every session, and return their number."""
        with self._lock:
            ended = len(self.sessions)
            self.sessions.clear()
            return ended

    def set_person(self, person: Person) -> None:
        """Add a person, or replace the person with the same email address."""
        with self._lock:
            self.people[person.email] = person
            self._numbers.setdefault(person.email, 1001 + len(self._numbers))

    def secrets_sent(self) -> set[str]:
        """Return every password, session id and second-factor key that an answer contained, to search for leaks."""
        with self._lock:
            return set(self._secrets_sent)

    def state(self) -> dict[str, object]:
        """Return the state of Virima and its calls as JSON values, without credentials and session ids."""
        with self._lock:
            return {
                "base_path": self.base_path,
                "people": [
                    {"email": person.email, "service": person.service, "mfa_pending": person.mfa_pending}
                    for person in self.people.values()
                ],
                "sessions": [
                    {"email": session.email, "impersonated_by": session.impersonated_by, "since": session.since}
                    for session in self.sessions.values()
                ],
                "calls": dict(self.calls),
                "reset_mails": list(self.reset_mails),
                "wizards": [email for email, _ in self.wizards],
            }

    def answer(self, request: SimulatorRequest) -> SimulatorResponse:
        """Apply one request and return the answer."""
        name = request.path.removeprefix(self.base_path)
        if name == request.path or name not in self._operations:
            return message(404, "No such operation")
        method, operation = self._operations[name]
        if request.method != method:
            return wrong_method([method])
        with self._lock:
            self.calls[name] += 1
            caller = self._proven(*(request.basic() or ("", "")))
            if caller is None or not caller.service:
                return message(401, "Authorization of a service account expected")
            return operation(request)

    def _log_in(self, request: SimulatorRequest) -> SimulatorResponse:
        """Check the mandatory fields, authenticate, and create a session."""
        body = checked_body(request, LOGIN_CREDENTIAL)
        if isinstance(body, SimulatorResponse):
            return body
        person = self._proven(body["email"], body["password"])
        return self._open_session(person, "") if person else message(401, "Invalid email or password")

    def _impersonate(self, request: SimulatorRequest) -> SimulatorResponse:
        """Open a session of another user; the session of the service account remains open."""
        body = checked_body(request, USER_CREDENTIAL)
        if isinstance(body, SimulatorResponse):
            return body
        session = self._session(request) or self.sessions.get(body.get("oldSessionId") or "")
        if session is None:
            return message(401, "No session")
        if not self.people[session.email].service:
            return message(403, "Only a service account may impersonate")
        person = self.people.get(body["email"])
        return self._open_session(person, session.email) if person else message(404, "No such user")

    def _log_out(self, request: SimulatorRequest) -> SimulatorResponse:
        """End only the session of the cookie."""
        session_id = request.cookie(SESSION_COOKIE) or ""
        session = self.sessions.pop(session_id, None)
        if session is None:
            return reply(200, {"id": 0, "recordId": "", "message": "No session", "status": False})
        number = self._numbers[session.email]
        result = {"id": number, "recordId": str(number), "message": "Logged out", "status": True}
        return reply(200, result, {"Set-Cookie": f"{SESSION_COOKIE}=; Path={self.base_path}; Max-Age=0"})

    def _return_user(self, request: SimulatorRequest) -> SimulatorResponse:
        session = self._session(request)
        if session is None:
            return message(401, "No session")
        return self._details(self.people[session.email], request.cookie(SESSION_COOKIE) or "")

    def _send_reset_mail(self, request: SimulatorRequest) -> SimulatorResponse:
        body = checked_body(request, USER_CREDENTIAL)
        if isinstance(body, SimulatorResponse):
            return body
        if body["email"] not in self.people:
            return message(404, "No such user")
        self.reset_mails.append(body["email"])
        return self._response(body["email"], "Mail sent")

    def _reset_password(self, request: SimulatorRequest) -> SimulatorResponse:
        body = checked_body(request, RESET_PASSWORD)
        if isinstance(body, SimulatorResponse):
            return body
        person = self.people.get(body["email"])
        if person is None:
            return message(404, "No such user")
        self.people[person.email] = replace(person, password=body["password"])
        return self._response(person.email, "Password changed")

    def _set_up(self, request: SimulatorRequest) -> SimulatorResponse:
        """Store the input of the set-up wizard of a new installation; opens no session."""
        body = checked_body(request, SET_UP_WIZARD)
        if isinstance(body, SimulatorResponse):
            return body
        person = self._proven(body["email"], body["password"])
        if person is None:
            return message(401, "Invalid email or password")
        self.wizards.append((person.email, body.get("wizardJson") or ""))
        return self._details(person, "")

    def _proven(self, email: str, password: str) -> Person | None:
        person = self.people.get(email)
        return person if person and person.password == password else None

    def _session(self, request: SimulatorRequest) -> IssuedSession | None:
        return self.sessions.get(request.cookie(SESSION_COOKIE) or "")

    def _open_session(self, person: Person, impersonated_by: str) -> SimulatorResponse:
        session_id = secrets.token_hex(16).upper()
        self.sessions[session_id] = IssuedSession(person.email, impersonated_by, self._clock())
        cookie = f"{SESSION_COOKIE}={session_id}; Path={self.base_path}; HttpOnly"
        return self._details(person, session_id, cookie)

    def _details(self, person: Person, session_id: str, cookie: str = "") -> SimulatorResponse:
        details = person.user_details(self._numbers[person.email], session_id)
        self._secrets_sent |= {person.password, person.two_factor_key, session_id} - {""}
        return reply(200, details, {"Set-Cookie": cookie} if cookie else {})

    def _response(self, email: str, text: str) -> SimulatorResponse:
        return reply(200, {"id": self._numbers[email], "response": text})
