"""Seals over an audit trail: a chain that tells the first record that was edited, removed, added or moved. Pure.

A seal names some records, each by its id and a digest of its content, and carries the MAC of the seal before it. Its own MAC is
HMAC-SHA256 (RFC 2104) under a key, or plain SHA-256 where there is none: that shows accidents, not a forger.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

#: Records in one seal at most.
MAX_SEALED_RECORDS = 256
#: Bytes of SHA-256 that a digest keeps: nobody finds a second content for 120 bits.
_DIGEST_BYTES = 15
#: Members that say where a record stands, not what it says.
_PLACE = frozenset({"id", "integration"})
_PLAIN = "sha256"

Record = Mapping[str, Any]
_Entry = tuple[str, str]
Kind = Literal["edited", "removed", "added", "moved", "seal"]


@dataclass(frozen=True, slots=True)
class SealingKey:
    """What seals are made with; `secret` None: plain SHA-256."""

    secret: str | None

    @property
    def name(self) -> str:
        """What a seal calls its key: enough to tell keys apart, and nothing of the secret."""
        if self.secret is None:
            return _PLAIN
        return "hmac-" + hashlib.sha256(b"name of a sealing key:" + self.secret.encode()).hexdigest()[:12]

    def mac(self, text: str) -> str:
        """Return the MAC of `text`, in hex."""
        if self.secret is None:
            return hashlib.sha256(text.encode()).hexdigest()
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Seal:
    """One link of an integration's chain. `records`: id and digest of each, in their order."""

    integration: str
    #: From 1, without a gap.
    number: int
    #: MAC of the seal before; empty for the first.
    previous: str
    key: str
    records: tuple[tuple[str, str], ...]
    mac: str = ""

    @property
    def text(self) -> str:
        """What the MAC is over."""
        parts = [1, self.integration, self.number, self.previous, self.key, self.records]
        return json.dumps(parts, separators=(",", ":"))

    @property
    def last(self) -> str:
        """The id of the last record."""
        return self.records[-1][0]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last seal that was dropped with its records when they had been kept for long enough: the chain goes on from it."""

    integration: str
    number: int
    seal: str
    last: str
    key: str
    mac: str = ""

    @property
    def text(self) -> str:
        """What the MAC is over."""
        parts = ["anchor", 1, self.integration, self.number, self.seal, self.last, self.key]
        return json.dumps(parts, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class TrailFinding:
    """The first thing that is wrong with a trail, in a sentence; `record` is an id, or empty where a seal is wrong."""

    kind: Kind
    record: str
    sentence: str


@dataclass(slots=True)
class Report:
    """What a verification found; `finding` None: everything that is sealed is as it was written."""

    integration: str
    seals: int = 0
    sealed: int = 0
    unsealed: int = 0
    #: Seals without a key: they show accidents only.
    unkeyed: int = 0
    first: str | None = None
    last: str | None = None
    #: Whether the head of the chain is its beginning, or anchored by a seal of ours.
    anchored: bool = False
    finding: TrailFinding | None = None


_to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


def digest_of(record: Record) -> str:
    """Return the digest of what a record says. Members that are null count as absent."""
    content = {name: value for name, value in record.items() if value is not None and name not in _PLACE}
    return base64.urlsafe_b64encode(hashlib.sha256(_to_json(content).encode()).digest()[:_DIGEST_BYTES]).decode()


def make_seal(key: SealingKey, integration: str, before: Seal | Anchor | None, records: Sequence[Record]) -> Seal:
    """Return the seal over `records`, which follows `before` (None: the first one)."""
    previous = "" if before is None else before.mac if isinstance(before, Seal) else before.seal
    number = before.number + 1 if before else 1
    entries = tuple((str(record["id"]), digest_of(record)) for record in records)
    blank = Seal(integration, number, previous, key.name, entries)
    return Seal(integration, number, previous, key.name, entries, key.mac(blank.text))


def make_anchor(key: SealingKey, dropped: Seal) -> Anchor:
    """Return what the chain hangs on when `dropped` and all before it are gone."""
    blank = Anchor(dropped.integration, dropped.number, dropped.mac, dropped.last, key.name)
    return Anchor(dropped.integration, dropped.number, dropped.mac, dropped.last, key.name, key.mac(blank.text))


def id_order(record_id: str) -> tuple[int, int]:
    """Return what sorts record ids (`milliseconds-sequence`)."""
    milliseconds, _, sequence = record_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def verify(
    integration: str,
    records: Iterable[Record],
    seals: Iterable[Seal],
    keys: Sequence[SealingKey],
    anchor: Anchor | None = None,
    *,
    before: Seal | None = None,
    is_excerpt: bool = False,
) -> Report:
    """Check records and seals, both in their order, against each other. Holds no more than one seal's records at a time.

    `before`: the seal before the first one, checked already. `is_excerpt`: without one, the first seal may follow one that is not
    there, as in an export from some day on.
    """
    report = Report(integration)
    known = {key.name: key for key in keys}
    coming = _Coming(integration, records)
    link: Seal | Anchor | None = before or anchor
    if anchor is not None:
        report.finding = _check_place(anchor, integration) or _check_mac(
            anchor, known, f"the anchor behind seal {anchor.number}"
        )
        report.finding = report.finding or _check_stale(coming.up_to(anchor.last), anchor)
        report.anchored = report.finding is None
    for seal in seals:
        if report.finding:
            return report
        report.finding = _check_place(seal, integration)
        report.finding = report.finding or _check_link(
            seal, link, known, may_follow_unknown=is_excerpt and link is None
        )
        if link is None and seal.number == 1:
            report.anchored = True
        if report.finding is None:
            report.finding = coming.stranger or _compare(seal, coming.up_to(seal.last))
        report.unkeyed += seal.key == _PLAIN
        report.seals, report.sealed = report.seals + 1, report.sealed + len(seal.records)
        if seal.records:  # a damaged one names none
            report.first, report.last = report.first or seal.records[0][0], seal.last
        link = seal
    if report.finding is None:
        report.unsealed = coming.count_rest()
        report.finding = coming.stranger
    return report


class _Coming:
    """Records in their order, of which those up to an id are taken at a time; `stranger` where one says it is another trail's."""

    def __init__(self, integration: str, records: Iterable[Record]) -> None:
        self._integration = integration
        self._records: Iterator[Record] = iter(records)
        self.stranger: TrailFinding | None = None
        self._next: Record | None = self._read()

    def up_to(self, last: str) -> list[Record]:
        taken = []
        while self._next is not None and id_order(str(self._next["id"])) <= id_order(last):
            taken.append(self._next)
            self._next = self._read()
        return taken

    def count_rest(self) -> int:
        count = 0
        while self._next is not None:
            count += 1
            self._next = self._read()
        return count

    def _read(self) -> Record | None:
        record = next(self._records, None)
        if record is not None and record.get("integration") != self._integration and self.stranger is None:
            an_id = str(record["id"])
            sentence = f"record {an_id} says that it is of another integration than {self._integration}"
            self.stranger = TrailFinding("edited", an_id, sentence)
        return record


def _check_link(
    seal: Seal, before: Seal | Anchor | None, keys: Mapping[str, SealingKey], *, may_follow_unknown: bool
) -> TrailFinding | None:
    if not may_follow_unknown:
        expected = (before.number if before else 0) + 1
        if seal.number != expected:
            missing = f"seal {expected} is missing" if seal.number > expected else f"seal {seal.number} comes twice"
            return TrailFinding("seal", "", f"{missing}: what it vouched for cannot be checked")
        previous = "" if before is None else before.mac if isinstance(before, Seal) else before.seal
        if seal.previous != previous:
            return TrailFinding(
                "seal", "", f"seal {seal.number} does not follow the one before it: one of them was replaced"
            )
    if seal.key == _PLAIN and before is not None and before.key != _PLAIN:
        return TrailFinding(
            "seal", "", f"seal {seal.number} has no key, though the one before it has: the chain was made anew"
        )
    return _check_mac(seal, keys, f"seal {seal.number}")


def _check_mac(sealed: Seal | Anchor, keys: Mapping[str, SealingKey], what: str) -> TrailFinding | None:
    key = keys.get(sealed.key)
    if key is None and sealed.key == _PLAIN:
        return TrailFinding(
            "seal", "", f"{what} was made without a key, which shows accidents only: --allow-unkeyed takes it for good"
        )
    if key is None:
        return TrailFinding("seal", "", f"{what} was made with the key {sealed.key}, which is not among those given")
    if not hmac.compare_digest(key.mac(sealed.text).encode(), sealed.mac.encode("utf-8", "replace")):
        return TrailFinding("seal", "", f"{what} was edited, or made by somebody who does not have the key")
    return None


def _check_place(sealed: Seal | Anchor, integration: str) -> TrailFinding | None:
    what = f"seal {sealed.number}" if isinstance(sealed, Seal) else "the anchor"
    if sealed.integration != integration:
        return TrailFinding("seal", "", f"{what} is of another integration than {integration}")
    if isinstance(sealed, Seal) and not sealed.records:
        return TrailFinding("seal", "", f"{what} names no record: it is damaged")
    return None


def _check_stale(records: Sequence[Record], anchor: Anchor) -> TrailFinding | None:
    if not records:
        return None
    an_id = str(records[0]["id"])
    return TrailFinding(
        "added", an_id, f"record {an_id} was added where older records had been dropped (up to {anchor.last})"
    )


def _compare(seal: Seal, records: Sequence[Record]) -> TrailFinding | None:
    """Return the first difference between what `seal` names and what is there, order included."""
    sealed = list(seal.records)
    found = [(str(record["id"]), digest_of(record)) for record in records]
    if found == sealed:
        return None
    at = next(
        (at for at, (one, other) in enumerate(zip(found, sealed, strict=False)) if one != other),
        min(len(found), len(sealed)),
    )
    there, named = (found[at] if at < len(found) else None), (sealed[at] if at < len(sealed) else None)
    extra, missing = Counter(found) - Counter(sealed), Counter(sealed) - Counter(found)
    kind, an_id = _kind_of(there, named, extra, missing)
    return TrailFinding(kind, an_id, f"record {an_id} was {kind} after it had been sealed (seal {seal.number})")


def _kind_of(
    there: _Entry | None, named: _Entry | None, extra: Counter[_Entry], missing: Counter[_Entry]
) -> tuple[Kind, str]:
    """Return what happened to which record, by what stands where `named` was sealed."""
    strays, wanted = {digest for _, digest in extra}, {digest for _, digest in missing}
    if there is not None and named is not None and there[0] == named[0] and named in missing:
        return ("moved" if there[1] in wanted or named[1] in strays else "edited"), named[0]
    named_is_first = named is not None and (there is None or id_order(named[0]) < id_order(there[0]))
    if named is not None and named in missing and (named_is_first or there not in extra):
        return ("moved" if named[1] in strays else "removed"), named[0]
    if there is not None and there in extra:
        return ("moved" if there[1] in wanted else "added"), there[0]
    assert there is not None or named is not None
    return "moved", (named or there or ("", ""))[0]
