"""The values that travel from a webhook to IEM, in the words of DESIGN section 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TicketFields:
    """What a record says of its ticket, whether it is relayed or not; absent fields are None."""

    sys_id: str
    itsm_state: str
    table: str | None = None
    number: str | None = None
    #: A decimal number in its shortest spelling.
    version: str | None = None
    #: Unix milliseconds.
    updated_at: int | None = None
    resolved_by: str | None = None
    #: Of fields that were not found at their first path: which one it was (from 0). For people who ask where a value comes from.
    via: Mapping[str, int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Update:
    """A record that goes to IEM: `{"state": iem_state, "sysid": ticket.sys_id}`."""

    ticket: TicketFields
    iem_state: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """A record whose state this mapping does not relay."""

    ticket: TicketFields
    reason: str


@dataclass(frozen=True, slots=True)
class FieldError:
    """Why a field of a record cannot be used, in the words of the mapping file."""

    field: str
    problem: str
    value: str | None = None

    def as_dict(self) -> dict[str, str]:
        """Return the JSON form, as problem documents and rejections show it."""
        shown = {"field": self.field, "problem": self.problem}
        return shown if self.value is None else {**shown, "value": self.value}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that the mapping cannot use; `record` is kept, so that it can be replayed."""

    errors: tuple[FieldError, ...]
    record: Any


Mapped = Update | Ignored | Rejected
