"""Seals over the audit trail of an integration: a chain that shows whether a record was edited, removed, added or moved.

A seal lists some records, each by its id and a digest of its content, and contains the MAC of the previous seal. Its own MAC is
HMAC-SHA256 (RFC 2104) with a key, or plain SHA-256 without one, which shows accidents but not forgery. `trail_verification`
checks a trail against its seals.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

#: Maximum number of records in one seal.
MAX_SEALED_RECORDS = 256
#: The name of the missing key in a seal that was made without one.
UNKEYED = "sha256"
#: Bytes of SHA-256 that a digest keeps: 120 bits are enough against a second content with the same digest.
_DIGEST_BYTES = 15
#: Members that identify a record; they are not part of its content.
_IDENTIFYING = frozenset({"id", "integration"})

AuditRecord = Mapping[str, Any]
_to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The key that seals are made with; `secret` None: plain SHA-256."""

    secret: str | None

    @property
    def name(self) -> str:
        """Return the name of the key in a seal. It identifies the key without revealing the secret."""
        if self.secret is None:
            return UNKEYED
        return "hmac-" + hashlib.sha256(b"name of a sealing key:" + self.secret.encode()).hexdigest()[:12]

    def mac(self, text: str) -> str:
        """Return the MAC of `text`, in hex."""
        if self.secret is None:
            return hashlib.sha256(text.encode()).hexdigest()
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Seal:
    """One link of an integration's chain. `records`: the id and digest of each record, in order."""

    integration: str
    #: Seals are numbered from 1, without gaps.
    number: int
    #: The MAC of the previous seal; empty for the first seal.
    previous: str
    key: str
    records: tuple[tuple[str, str], ...]
    mac: str = ""

    @property
    def text(self) -> str:
        """Return the text that the MAC covers."""
        parts = [1, self.integration, self.number, self.previous, self.key, self.records]
        return json.dumps(parts, separators=(",", ":"))

    @property
    def last(self) -> str:
        """Return the id of the last record."""
        return self.records[-1][0]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last seal that was deleted together with its expired records. The chain continues from it."""

    integration: str
    number: int
    seal: str
    last: str
    key: str
    mac: str = ""

    @property
    def text(self) -> str:
        """Return the text that the MAC covers."""
        parts = ["anchor", 1, self.integration, self.number, self.seal, self.last, self.key]
        return json.dumps(parts, separators=(",", ":"))


def digest_of(record: AuditRecord) -> str:
    """Return the digest of a record's content. A member that is null counts as absent."""
    content = {name: value for name, value in record.items() if value is not None and name not in _IDENTIFYING}
    return base64.urlsafe_b64encode(hashlib.sha256(_to_json(content).encode()).digest()[:_DIGEST_BYTES]).decode()


def make_seal(key: SealingKey, integration: str, before: Seal | Anchor | None, records: Sequence[AuditRecord]) -> Seal:
    """Return the seal over `records` that follows `before`; None: it is the first seal."""
    number = before.number + 1 if before else 1
    entries = tuple((str(record["id"]), digest_of(record)) for record in records)
    seal = Seal(integration, number, mac_of(before), key.name, entries)
    return replace(seal, mac=key.mac(seal.text))


def make_anchor(key: SealingKey, dropped: Seal) -> Anchor:
    """Return the anchor of a chain from which `dropped` and all earlier seals were deleted."""
    anchor = Anchor(dropped.integration, dropped.number, dropped.mac, dropped.last, key.name)
    return replace(anchor, mac=key.mac(anchor.text))


def mac_of(before: Seal | Anchor | None) -> str:
    """Return the MAC that the seal after `before` must name as its previous one."""
    match before:
        case None:
            return ""
        case Seal():
            return before.mac
        case Anchor():
            return before.seal


def id_order(record_id: str) -> tuple[int, int]:
    """Return the sort key of a record id (`milliseconds-sequence`)."""
    milliseconds, _, sequence = record_id.partition("-")
    return int(milliseconds), int(sequence or 0)
