"""Why an integration is parked although IEM refuses nothing: no worker delivers for it."""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.row_enum import RowEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanRow:
    """What people need to know about an integration that no worker delivers for."""

    #: Completes "The integration NAME …".
    explanation: str
    #: What people can do about it: a clause that begins in lower case.
    advice: str
    #: Whether people chose this.
    is_intended: bool = False


class OrphanReason(RowEnum):
    """Why no worker delivers for an integration: its deliveries wait, parked, and this time does not count towards giving up."""

    row: OrphanRow

    DISABLED = (
        "disabled",
        OrphanRow(
            explanation="is disabled in its mapping file; deliveries resume when the file enables it",
            advice="set `enabled: true` in its mapping file",
            is_intended=True,
        ),
    )
    UNUSABLE = (
        "mapping_unusable",
        OrphanRow(
            explanation="has faults in its mapping file; deliveries resume when they are corrected",
            advice="correct its mapping file: see `relay mappings check`",
        ),
    )
    REMOVED = (
        "mapping_removed",
        OrphanRow(
            explanation="has no mapping file; deliveries resume when it has one",
            advice="restore its mapping file",
        ),
    )
