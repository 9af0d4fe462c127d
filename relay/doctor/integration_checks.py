"""Checks of one integration: its mapping file, and whether its deliveries are stalled."""

from __future__ import annotations

from relay.core.orphan_reasons import OrphanReason
from relay.core.plural import count_of
from relay.core.reasons import PARKED_BY_HAND, Reason
from relay.core.values import format_time
from relay.doctor.finding import Finding
from relay.mapping_files.folder import MappingFile
from relay.store.circuit import CircuitState
from relay.store.heartbeats import Backlog

#: Reasons for which people park integrations on purpose.
_INTENDED = frozenset({PARKED_BY_HAND, *(reason for reason in OrphanReason if reason.row.is_intended)})


def check_mapping_file(file: MappingFile) -> Finding:
    """Report the first fault or warning of a mapping file that has been inspected."""
    subject = f"mapping {file.name}"
    advice = "see `relay mappings check`"
    if file.faults:
        more = f" (and {len(file.faults) - 1} more)" if len(file.faults) > 1 else ""
        return Finding.fail(subject, f"{file.formatted_faults()[0]}{more}", advice)
    integration = file.integration
    assert integration
    target = f"IEM {integration.iem.customer_id}/{integration.iem.integration_id}"
    says = f"{file.path}: {integration.source} → {target}"
    if not integration.enabled:
        return Finding.warn(subject, f"{says}, disabled: webhooks are answered 404", "set `enabled: true`")
    if file.warnings:
        return Finding.warn(subject, file.format_fault(file.warnings[0]), advice)
    return Finding.ok(subject, says)


def check_deliveries(backlog: Backlog, state: CircuitState | None, *, has_file: bool, is_accepted: bool) -> Finding:
    """Check whether deliveries are stalled. `is_accepted` is whether IEM has just issued a token to the integration."""
    name, subject = backlog.integration, f"deliveries {backlog.integration}"
    dead_letters, rejections = count_of(backlog.dead, "dead letter"), count_of(backlog.rejections, "rejection")
    says = f"{backlog.pending} pending, {dead_letters}, {rejections}"
    if not has_file:
        advice = f"restore {name}.yaml; until then its pending deliveries wait"
        return Finding.warn(subject, f"{says}; it has no mapping file", advice)
    if state:
        kind = Finding.fail if backlog.pending and state.reason not in _INTENDED else Finding.warn
        return kind(subject, f"{says}, {_parking(state)}", _parking_advice(name, state, is_accepted=is_accepted))
    if backlog.dead:
        return Finding.warn(subject, says, f"see `relay deliveries list --integration {name} --status dead`")
    if backlog.rejections:
        return Finding.warn(subject, says, "some webhooks could not be mapped: see `relay rejections list`")
    return Finding.ok(subject, says)


def _parking(state: CircuitState) -> str:
    if state.reason == PARKED_BY_HAND:
        return f"parked by {state.by}" + (f" ({state.why})" if state.why else "")
    probe = f", next probe at {format_time(state.next_probe_at)}" if state.next_probe_at else ""
    return f"parked: {state.reason} since {format_time(state.since)}{probe}"


def _parking_advice(name: str, state: CircuitState, *, is_accepted: bool) -> str:
    resume = f"`relay integrations resume {name}`"
    if state.reason in set(OrphanReason):
        return OrphanReason(state.reason).row.advice
    if state.reason == PARKED_BY_HAND:
        return f"to resume it: {resume}"
    if state.reason == Reason.WRONG_CREDENTIALS and is_accepted:
        return f"IEM accepts the credentials now: {resume}"
    return f"{Reason(state.reason).row.advice}; then {resume} sends a probe at once"
