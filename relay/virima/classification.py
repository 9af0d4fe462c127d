"""The meaning of Virima's answers, as docs/development/virima-contract.md lists them. Only this module reads its statuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from relay.http.caller import Reply
from relay.virima.login_schemas import ResponseSchema, TransactionMessageSchema, UserDetailsSchema
from relay.virima.lookup_reasons import LookupReason
from relay.virima.results import (
    Failed,
    Found,
    MfaPending,
    NotFound,
    Refused,
    Response,
    TransactionMessage,
    Unanswered,
    UserAnswer,
    UserDetails,
)


def classify(reply: Reply) -> Mapping[str, Any] | Unanswered:
    """Return the JSON object of a 2xx answer, or the meaning of any other answer."""
    match reply.status:
        case None:
            return Failed(None, LookupReason.UNREACHABLE, reply.fault)
        case 401 | 403 as status:
            return Refused(status)
        case 404:
            return NotFound(404)
        case 429:
            return Failed(429, LookupReason.RATE_LIMITED)
        case status if 300 <= status < 400:
            return Failed(status, LookupReason.REDIRECTED)
        case status if status >= 500:
            return Failed(status, LookupReason.SERVER_ERROR)
        case status if not 200 <= status < 300:
            return Failed(status, LookupReason.UNEXPECTED_ANSWER)
        case status if reply.fault is not None:
            return Failed(status, LookupReason.INCOMPLETE_ANSWER, reply.fault)
        case status if reply.content is None:
            return Failed(status, LookupReason.UNEXPECTED_ANSWER, "the answer is not a JSON object")
        case _:
            return reply.content


def classify_user(reply: Reply, *, asked: str | None = None) -> UserAnswer:
    """Return the user in an answer. With `asked`, the requested email address, a different user is a failure."""
    content = classify(reply)
    if not isinstance(content, Mapping):
        return content
    status = reply.status or 0
    user = _load(UserDetailsSchema, content)
    if not isinstance(user, UserDetails):
        return Failed(status, LookupReason.UNEXPECTED_ANSWER, "the id in the answer is not a whole number")
    if user.id <= 0:
        return NotFound(status)
    if asked is not None and user.email is None:
        return Failed(status, LookupReason.UNEXPECTED_ANSWER, "the answer does not contain the user's email address")
    if asked is not None and user.email and user.email.lower() != asked.strip().lower():
        return Failed(status, LookupReason.ANOTHER_USER)
    return MfaPending(status, user) if user.is_mfa_pending else Found(status, user)


def classify_logout(reply: Reply) -> TransactionMessage | Unanswered:
    """Return the answer of dologout."""
    content = classify(reply)
    if not isinstance(content, Mapping):
        return content
    message = _load(TransactionMessageSchema, content)
    return message if isinstance(message, TransactionMessage) else TransactionMessage(0)


def classify_response(reply: Reply) -> Response | Unanswered:
    """Return the answer of an operation on a password. An answer without an id means that there is no such user."""
    content = classify(reply)
    if not isinstance(content, Mapping):
        return content
    response = _load(ResponseSchema, content)
    if not isinstance(response, Response):
        return Failed(reply.status, LookupReason.UNEXPECTED_ANSWER, "the id in the answer is not a whole number")
    return response if response.id > 0 else NotFound(reply.status or 0)


def _load(
    schema: type[UserDetailsSchema | TransactionMessageSchema | ResponseSchema], content: Mapping[str, Any]
) -> Any:
    """Return `content` as a value, or None if its id is invalid. The error itself would contain the whole answer."""
    try:
        return schema().load(content)
    except ValidationError:
        return None
