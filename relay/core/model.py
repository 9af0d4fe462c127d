"""The results of mapping a record: an update, an ignored record, or a rejection. See docs/reference/glossary.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TicketFields:
    """The fields of a record's ticket. Absent fields are None."""

    sys_id: str
    itsm_state: str
    table: str | None = None
    number: str | None = None
    #: A decimal number in its shortest spelling.
    version: str | None = None
    #: Unix milliseconds.
    updated_at: int | None = None
    resolved_by: str | None = None
    #: The index of the path (from 0) that found a field, if it was not the first one: it shows where a value comes from.
    via: Mapping[str, int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Update:
    """A record to push to IEM: `{"state": iem_state, "sysid": ticket.sys_id}`."""

    ticket: TicketFields
    iem_state: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """A record whose state the mapping does not relay."""

    ticket: TicketFields
    reason: str


@dataclass(frozen=True, slots=True)
class FieldError:
    """Why a field of a record cannot be used. The field is named as in the mapping file."""

    field: str
    problem: str
    value: str | None = None

    def as_dict(self) -> dict[str, str]:
        """Return the JSON object for problem documents and rejections."""
        error = {"field": self.field, "problem": self.problem}
        return error if self.value is None else {**error, "value": self.value}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that the mapping cannot use. `record` is kept for a replay."""

    errors: tuple[FieldError, ...]
    record: Any


Mapped = Update | Ignored | Rejected
