"""What the doctor says of one thing that was examined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was examined, how it stands, what was seen, and what to do about it."""

    subject: str
    state: State
    says: str
    advice: str | None = None

    @classmethod
    def ok(cls, subject: str, says: str) -> Finding:
        """Return a finding that asks for nothing."""
        return cls(subject, State.OK, says)

    @classmethod
    def warn(cls, subject: str, says: str, advice: str) -> Finding:
        """Return one that is worth a look."""
        return cls(subject, State.WARN, says, advice)

    @classmethod
    def fail(cls, subject: str, says: str, advice: str) -> Finding:
        """Return one that must be mended."""
        return cls(subject, State.FAIL, says, advice)


def failed(findings: Iterable[Finding]) -> bool:
    """Tell whether any must be mended."""
    return any(one.state is State.FAIL for one in findings)
