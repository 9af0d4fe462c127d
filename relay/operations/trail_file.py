"""An audit trail as a file of JSON Lines with its seals: exported from Redis, verified without Redis.

Each integration has a section. It begins with `{"export": …}`, followed by an `{"anchor": …}` if older seals were dropped.
Then each group of `{"record": …}` lines is followed by its `{"seal": …}`. The newest records can have no seal yet. The last
line of a section is `{"end": …}`; without it the export is incomplete.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from relay.core.seals import Anchor, AuditRecord, Seal, SealingKey, id_order
from relay.core.trail_verification import TrailFinding, TrailReport, verify_trail
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail, TrailQuery

_VERSION = 1
_ID = re.compile(r"\d{1,19}-\d{1,19}", re.ASCII)


def write_sealed(
    trail: Trail, chain: SealChain, integration: str, *, since: int | None = None, until: int | None = None
) -> Iterator[dict[str, Any]]:
    """Return the section of one integration from `since` to `until` (Unix ms), extended to whole seals."""
    anchor = chain.anchor(integration)
    yield {"export": {"version": _VERSION, "integration": integration, "complete": True, "from_start": since is None}}
    if anchor and since is None:
        yield {"anchor": asdict(anchor)}
    after = anchor.last if anchor else None
    for seal in chain.seals(integration):
        begins, ends = id_order(seal.records[0][0])[0], id_order(seal.last)[0]
        if until is not None and begins > until:
            yield {"end": integration}
            return
        if since is None or ends >= since:
            yield from _records(trail, integration, after, seal.last)
            yield {"seal": asdict(seal)}
        after = seal.last
    yield from _records(trail, integration, after, "+" if until is None else str(max(0, until)))
    yield {"end": integration}


def write_filtered(trail: Trail, integration: str, query: TrailQuery) -> Iterator[dict[str, Any]]:
    """Return a section of the records that match. It has no seals, because a seal covers all records."""
    yield {"export": {"version": _VERSION, "integration": integration, "complete": False}}
    for record in trail.walk(integration, since=query.since, until=query.until):
        if query.matches(record):
            yield {"record": record}


def check_file(lines: Iterable[dict[str, Any]], keys: Sequence[SealingKey]) -> Iterator[TrailReport]:
    """Verify each section of an exported file.

    Raises:
        ValueError: the file is not an export.
    """
    reader = _TrailReader(lines)
    if reader.is_empty:
        raise ValueError("this is not an export of an audit trail: it is empty")
    while (head := reader.head()) is not None:
        integration = str(head["integration"])
        if not head.get("complete"):
            for _ in reader.section():
                pass
            sentence = "the export was filtered, and a seal covers all records: export without a filter to verify it"
            yield TrailReport(integration, finding=TrailFinding("seal", "", sentence))
            continue
        yield _check_section(integration, reader.section(), keys, is_excerpt=not head.get("from_start"))


def _records(trail: Trail, integration: str, after: str | None, up_to: str) -> Iterator[dict[str, Any]]:
    return ({"record": record} for record in trail.walk_after(integration, after, up_to=up_to))


class _TrailReader:
    """Splits the lines into sections."""

    def __init__(self, lines: Iterable[dict[str, Any]]) -> None:
        self._lines = iter(lines)
        self._next = next(self._lines, None)

    @property
    def is_empty(self) -> bool:
        """Whether no line is left."""
        return self._next is None

    def head(self) -> dict[str, Any] | None:
        """Return the `export` line of the next section, or None at the end of the file."""
        line, self._next = self._next, next(self._lines, None)
        if line is None:
            return None
        head = line.get("export")
        if not isinstance(head, dict) or head.get("version") != _VERSION or "integration" not in head:
            raise ValueError("this is not an export of an audit trail: it does not begin with an `export` line")
        return head

    def section(self) -> Iterator[dict[str, Any]]:
        """Return the remaining lines of the section."""
        while self._next is not None and "export" not in self._next:
            line, self._next = self._next, next(self._lines, None)
            yield line


def _check_section(
    integration: str, lines: Iterator[dict[str, Any]], keys: Sequence[SealingKey], *, is_excerpt: bool
) -> TrailReport:
    """Verify a section while reading it: each seal follows its records."""
    report = TrailReport(integration)
    anchor: Anchor | None = None
    before: Seal | None = None
    waiting: list[AuditRecord] = []
    is_whole = False
    for line in lines:
        is_whole = "end" in line
        if report.finding or is_whole:
            continue  # read the rest of the section
        if "record" in line:
            waiting.append(_record(line))
        elif "anchor" in line:
            anchor = _anchor(line)
        else:
            seal = _seal(line)
            covered = [record for record in waiting if id_order(str(record["id"])) <= id_order(seal.last)]
            waiting = [record for record in waiting if id_order(str(record["id"])) > id_order(seal.last)]
            _add(report, verify_trail(integration, covered, [seal], keys, anchor, before=before, is_excerpt=is_excerpt))
            anchor, before = None, seal
    if report.finding is None and not is_whole:
        report.finding = TrailFinding(
            "seal", "", "the file is incomplete: the export was interrupted, or the file was cut"
        )
    if report.finding is None:
        report.finding = _find_stray(integration, waiting)
    report.unsealed = 0 if report.finding else len(waiting)
    return report


def _find_stray(integration: str, records: Sequence[AuditRecord]) -> TrailFinding | None:
    stray = next((str(record["id"]) for record in records if record["integration"] != integration), None)
    return TrailFinding("edited", stray, f"record {stray} belongs to another integration") if stray else None


def _record(line: dict[str, Any]) -> AuditRecord:
    record = line["record"]
    if not isinstance(record, dict) or not _is_id(record.get("id")) or not isinstance(record.get("integration"), str):
        raise ValueError(f"a line contains no valid record: {str(line)[:80]}")
    return record


def _anchor(line: dict[str, Any]) -> Anchor:
    content = line["anchor"]
    texts = ("integration", "seal", "last", "key", "mac")
    if not _has(content, texts) or not _is_id(content["last"]) or set(content) != {*texts, "number"}:
        raise ValueError(f"a line contains no valid anchor: {str(line)[:80]}")
    return Anchor(**content)


def _seal(line: dict[str, Any]) -> Seal:
    content = line.get("seal")
    texts = ("integration", "previous", "key", "mac")
    if not isinstance(content, dict) or not _has(content, texts) or set(content) != {*texts, "number", "records"}:
        raise ValueError(f"a line is neither a record nor a seal: {str(line)[:80]}")
    entries = content["records"]
    if not isinstance(entries, list) or not entries or not all(_is_entry(entry) for entry in entries):
        raise ValueError(f"a seal contains no records: {str(line)[:80]}")
    return Seal(**{**content, "records": tuple((record_id, str(digest)) for record_id, digest in entries)})


def _has(content: Any, texts: Sequence[str]) -> bool:
    """Return whether `content` is an object that has `texts` as strings and an integer `number`."""
    if not isinstance(content, dict) or not all(isinstance(content.get(name), str) for name in texts):
        return False
    return isinstance(content.get("number"), int) and not isinstance(content["number"], bool)


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and _is_id(entry[0])


def _is_id(text: Any) -> bool:
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def _add(report: TrailReport, part: TrailReport) -> None:
    report.seals += part.seals
    report.sealed += part.sealed
    report.first = report.first or part.first
    report.last = part.last or report.last
    report.anchored = report.anchored or part.anchored
    report.finding = part.finding
