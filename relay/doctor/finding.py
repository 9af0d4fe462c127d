"""The result of one check: its subject, its state, the observation, and advice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The state of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. Its fields are also the members of `--json`."""

    subject: str
    state: State
    says: str
    advice: str | None = None

    @classmethod
    def ok(cls, subject: str, says: str) -> Finding:
        """Return a finding that needs no action."""
        return cls(subject, State.OK, says)

    @classmethod
    def warn(cls, subject: str, says: str, advice: str) -> Finding:
        """Return a finding that an admin should look at."""
        return cls(subject, State.WARN, says, advice)

    @classmethod
    def fail(cls, subject: str, says: str, advice: str) -> Finding:
        """Return a finding that an admin must fix."""
        return cls(subject, State.FAIL, says, advice)


def has_failed(findings: Iterable[Finding]) -> bool:
    """Return whether any check failed."""
    return any(finding.state is State.FAIL for finding in findings)
