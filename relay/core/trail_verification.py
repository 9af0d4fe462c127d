"""Checks an audit trail against its seals, and describes the first difference."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from relay.core.seals import UNKEYED, Anchor, AuditRecord, Seal, SealingKey, digest_of, id_order, mac_of

_Entry = tuple[str, str]
FindingKind = Literal["edited", "removed", "added", "moved", "seal"]


@dataclass(frozen=True, slots=True)
class TrailFinding:
    """The first error of a trail, as a sentence; `record` is the id of the record, or empty if a seal is wrong."""

    kind: FindingKind
    record: str
    sentence: str


@dataclass(slots=True)
class TrailReport:
    """The result of a verification; `finding` None: all sealed records are unchanged."""

    integration: str
    seals: int = 0
    sealed: int = 0
    unsealed: int = 0
    #: Seals without a key: they show accidents only.
    unkeyed: int = 0
    first: str | None = None
    last: str | None = None
    #: Whether the chain starts with the first seal or with a valid anchor.
    anchored: bool = False
    finding: TrailFinding | None = None


def verify_trail(
    integration: str,
    records: Iterable[AuditRecord],
    seals: Iterable[Seal],
    keys: Sequence[SealingKey],
    anchor: Anchor | None = None,
    *,
    before: Seal | None = None,
    is_excerpt: bool = False,
) -> TrailReport:
    """Check `records` against `seals`, both in order. At most the records of one seal are in memory at a time.

    `before`: the seal before the first one, already checked. `is_excerpt`: without `before`, the first seal can follow one that
    is not in the trail, as in an export that starts on some day.
    """
    report = TrailReport(integration)
    known = {key.name: key for key in keys}
    remaining = _RemainingRecords(integration, records)
    previous: Seal | Anchor | None = before or anchor
    if anchor is not None:
        report.finding = _check_place(anchor, integration) or _check_mac(
            anchor, known, f"the anchor after seal {anchor.number}"
        )
        report.finding = report.finding or _check_stale(remaining.take_up_to(anchor.last), anchor)
        report.anchored = report.finding is None
    for seal in seals:
        if report.finding:
            return report
        report.finding = _check_place(seal, integration)
        report.finding = report.finding or _check_link(
            seal, previous, known, may_follow_unknown=is_excerpt and previous is None
        )
        if previous is None and seal.number == 1:
            report.anchored = True
        if report.finding is None:
            report.finding = remaining.foreign or _compare(seal, remaining.take_up_to(seal.last))
        report.unkeyed += seal.key == UNKEYED
        report.seals, report.sealed = report.seals + 1, report.sealed + len(seal.records)
        if seal.records:  # a damaged seal lists none
            report.first, report.last = report.first or seal.records[0][0], seal.last
        previous = seal
    if report.finding is None:
        report.unsealed = remaining.count()
        report.finding = remaining.foreign
    return report


class _RemainingRecords:
    """The records that are not checked yet. `foreign`: the finding if one of them belongs to another integration."""

    def __init__(self, integration: str, records: Iterable[AuditRecord]) -> None:
        self._integration = integration
        self._records: Iterator[AuditRecord] = iter(records)
        self.foreign: TrailFinding | None = None
        self._next: AuditRecord | None = self._read()

    def take_up_to(self, last: str) -> list[AuditRecord]:
        taken = []
        while self._next is not None and id_order(str(self._next["id"])) <= id_order(last):
            taken.append(self._next)
            self._next = self._read()
        return taken

    def count(self) -> int:
        count = 0
        while self._next is not None:
            count += 1
            self._next = self._read()
        return count

    def _read(self) -> AuditRecord | None:
        record = next(self._records, None)
        if record is not None and record.get("integration") != self._integration and self.foreign is None:
            record_id = str(record["id"])
            sentence = f"record {record_id} names an integration other than {self._integration}"
            self.foreign = TrailFinding("edited", record_id, sentence)
        return record


def _check_link(
    seal: Seal, before: Seal | Anchor | None, keys: Mapping[str, SealingKey], *, may_follow_unknown: bool
) -> TrailFinding | None:
    if not may_follow_unknown:
        expected = (before.number if before else 0) + 1
        if seal.number != expected:
            problem = f"seal {expected} is missing" if seal.number > expected else f"seal {seal.number} appears twice"
            return TrailFinding("seal", "", f"{problem}: its records cannot be checked")
        if seal.previous != mac_of(before):
            return TrailFinding(
                "seal", "", f"seal {seal.number} does not continue the previous seal: one of them was replaced"
            )
    if seal.key == UNKEYED and before is not None and before.key != UNKEYED:
        return TrailFinding(
            "seal",
            "",
            f"seal {seal.number} was made without a key, but the previous seal with one: the chain was recreated",
        )
    return _check_mac(seal, keys, f"seal {seal.number}")


def _check_mac(sealed: Seal | Anchor, keys: Mapping[str, SealingKey], what: str) -> TrailFinding | None:
    key = keys.get(sealed.key)
    if key is None and sealed.key == UNKEYED:
        return TrailFinding(
            "seal", "", f"{what} was made without a key, which shows accidents only: --allow-unkeyed accepts it"
        )
    if key is None:
        return TrailFinding("seal", "", f"{what} was made with the key {sealed.key}, which was not given")
    if not hmac.compare_digest(key.mac(sealed.text).encode(), sealed.mac.encode("utf-8", "replace")):
        return TrailFinding("seal", "", f"{what} was edited, or made without knowledge of the key")
    return None


def _check_place(sealed: Seal | Anchor, integration: str) -> TrailFinding | None:
    what = f"seal {sealed.number}" if isinstance(sealed, Seal) else "the anchor"
    if sealed.integration != integration:
        return TrailFinding("seal", "", f"{what} belongs to an integration other than {integration}")
    if isinstance(sealed, Seal) and not sealed.records:
        return TrailFinding("seal", "", f"{what} lists no records: it is damaged")
    return None


def _check_stale(records: Sequence[AuditRecord], anchor: Anchor) -> TrailFinding | None:
    if not records:
        return None
    record_id = str(records[0]["id"])
    return TrailFinding(
        "added", record_id, f"record {record_id} was added among older records that were deleted (up to {anchor.last})"
    )


def _compare(seal: Seal, records: Sequence[AuditRecord]) -> TrailFinding | None:
    """Return the first difference, including the order, between the records that `seal` lists and the actual `records`."""
    sealed = list(seal.records)
    found = [(str(record["id"]), digest_of(record)) for record in records]
    if found == sealed:
        return None
    index = next(
        (index for index, (entry, expected) in enumerate(zip(found, sealed, strict=False)) if entry != expected),
        min(len(found), len(sealed)),
    )
    actual, expected = (found[index] if index < len(found) else None), (sealed[index] if index < len(sealed) else None)
    extra, missing = Counter(found) - Counter(sealed), Counter(sealed) - Counter(found)
    kind, record_id = _kind_of(actual, expected, extra, missing)
    return TrailFinding(kind, record_id, f"record {record_id} was {kind} after it had been sealed (seal {seal.number})")


def _kind_of(
    actual: _Entry | None, expected: _Entry | None, extra: Counter[_Entry], missing: Counter[_Entry]
) -> tuple[FindingKind, str]:
    """Return the kind of the difference and the record's id: the trail has `actual` where `expected` was sealed."""
    extra_digests, missing_digests = {digest for _, digest in extra}, {digest for _, digest in missing}
    if actual is not None and expected is not None and actual[0] == expected[0] and expected in missing:
        return ("moved" if actual[1] in missing_digests or expected[1] in extra_digests else "edited"), expected[0]
    expected_is_first = expected is not None and (actual is None or id_order(expected[0]) < id_order(actual[0]))
    if expected is not None and expected in missing and (expected_is_first or actual not in extra):
        return ("moved" if expected[1] in extra_digests else "removed"), expected[0]
    if actual is not None and actual in extra:
        return ("moved" if actual[1] in missing_digests else "added"), actual[0]
    assert actual is not None or expected is not None
    return "moved", (expected or actual or ("", ""))[0]
