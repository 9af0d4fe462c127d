"""`relay iem …`: trying an integration's IEM out, and publishing what stands in a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from threading import Lock
from typing import Any, BinaryIO, TextIO

import click

from relay.cli.named_mapping import find_integration
from relay.cli.terminal import as_json as terminal_json
from relay.cli.terminal import json_option, print_finding, print_json, shown
from relay.core.outcomes import Dead, Delivered, Park
from relay.core.redact import Redactor
from relay.doctor.finding import failed
from relay.doctor.services import ping_iem
from relay.errors import RequestBodyError, StoreUnavailableError
from relay.foundation import connect, iem_service, lay_foundation
from relay.iem.publish_bodies import Publication
from relay.iem.record_file import FileRecord, read_records
from relay.iem.service import Attempt, IemService

#: So many failures in a row, refusals of single bodies excepted: the rest is not sent.
_MOST_IN_A_ROW = 5
#: Faults and failures that are told one by one.
_MOST_TOLD = 50


@click.group
def iem() -> None:
    """Try an integration's IEM out; publish events, metrics, topology and adaptor health."""


@iem.command
@click.argument("integration")
@json_option
def ping(integration: str, *, as_json: bool) -> None:
    """Go the way to INTEGRATION's IEM, ask its publish service whether it runs, and for a token. Nothing is pushed.

    Exit status 1 where something must be mended.
    """
    findings = ping_iem(find_integration(integration), lay_foundation())
    if as_json:
        print_json([asdict(one) for one in findings])
    else:
        for one in findings:
            print_finding(one)
    sys.exit(1 if failed(findings) else 0)


@iem.command
@click.argument("integration")
@click.argument("kind", type=click.Choice([one.value for one in Publication]))
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Check and print what would be sent; send nothing.")
@click.option(
    "--failed-to",
    type=click.File("w", "utf-8", lazy=False, atomic=True),
    help="Write what was not published there, as JSON Lines.",
)
@json_option
def publish(
    integration: str,
    kind: str,
    file: BinaryIO,
    *,
    dry_run: bool,
    failed_to: TextIO | None,
    as_json: bool,
) -> None:
    """Publish FILE (- is standard input) to INTEGRATION's IEM: one JSON object, an array of them, or JSON Lines.

    The customer is the mapping's where a body names none; every other field must be there. All that is wrong with any body is
    told before anything is sent. Exit status 1 where something was not published.
    """
    mapped, publication = find_integration(integration), Publication(kind)
    records = _read(file, publication, mapped.iem.customer_id)
    if dry_run:
        for record in records:
            click.echo(terminal_json(record.body))
        click.echo(f"{len(records)} checked, as IEM's guide has it; nothing was sent", err=True)
        return
    foundation = lay_foundation()
    service, _ = iem_service(mapped, foundation, connect(foundation.settings))
    with closing(service):
        sending = _Sending(service, publication, at_once=mapped.iem.max_in_flight)
        attempts = sending.send(records)
    left = [(one, attempt) for one, attempt in zip(records, attempts, strict=True) if not _is_published(attempt)]
    told = [_describe(one, attempt, foundation.redactor) for one, attempt in left if attempt is not None]
    summary = {
        "published": len(records) - len(left),
        "failed": told,
        "not_sent": len(left) - len(told),
        "ended": sending.ended,
    }
    print_json(summary) if as_json else _print_summary(len(records), summary)
    if failed_to is not None:
        failed_to.writelines(f"{json.dumps(one.body)}\n" for one, _ in left)
    sys.exit(1 if left else 0)


def _read(file: BinaryIO, publication: Publication, customer_id: str) -> list[FileRecord]:
    """Return the bodies of a file, all of them good."""
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestBodyError(f"{file.name}: it is not UTF-8 text (byte {error.start})") from None
    records = read_records(text, publication, customer_id)
    faulty = [f"{file.name}: {one.place}: {problem}" for one in records for problem in one.problems]
    if faulty:
        for line in faulty[:_MOST_TOLD]:
            click.echo(shown(line), err=True)
        more = f", {len(faulty) - _MOST_TOLD} more of them" if len(faulty) > _MOST_TOLD else ""
        raise RequestBodyError(f"{len(faulty)} faults{more}: nothing was sent")
    if not records:
        raise RequestBodyError(f"{file.name} holds nothing to publish")
    return records


class _Sending:
    """Publishes bodies, several at once, until it shows that the rest would fare no better, or somebody stops it."""

    def __init__(self, service: IemService, publication: Publication, *, at_once: int) -> None:
        self._service = service
        self._publication = publication
        self._at_once = at_once
        self._lock = Lock()
        self._in_a_row = 0
        self._is_over = False
        #: Why it ended before its time.
        self.ended: str | None = None

    def send(self, records: Sequence[FileRecord]) -> list[Attempt | None]:
        """Return what became of each record, in order; None: it was not sent."""
        attempts: list[Attempt | None] = [None] * len(records)

        def publish(number: int) -> None:
            # Noted here, not where the bar counts: what was under way when somebody stopped it is published, too.
            attempts[number] = self._publish(records[number])

        with ThreadPoolExecutor(self._at_once) as pool:
            try:
                under_way = pool.map(publish, range(len(records)))
                with click.progressbar(under_way, length=len(records), label="publishing", file=sys.stderr) as progress:
                    for _ in progress:
                        pass
            except KeyboardInterrupt:
                self._end("stopped")
        return attempts

    def _publish(self, record: FileRecord) -> Attempt | None:
        if self._is_over:
            return None
        try:
            attempt = self._service.publish(self._publication, record.body)
        except StoreUnavailableError as error:
            self._end(str(error))
            return None
        with self._lock:
            self._in_a_row = 0 if isinstance(attempt.outcome, Delivered | Dead) else self._in_a_row + 1
            if self._in_a_row >= _MOST_IN_A_ROW or _speaks_of_account(attempt):
                self._end("the rest would fare no better")
        return attempt

    def _end(self, why: str) -> None:
        self._is_over, self.ended = True, self.ended or why


def _speaks_of_account(attempt: Attempt) -> bool:
    """Tell whether IEM refuses the account altogether; a customer that it refuses may be that body's alone."""
    return isinstance(attempt.outcome, Park) and not attempt.outcome.reason.row.concerns_customer


def _is_published(attempt: Attempt | None) -> bool:
    return attempt is not None and isinstance(attempt.outcome, Delivered)


def _describe(record: FileRecord, attempt: Attempt, redactor: Redactor) -> dict[str, Any]:
    outcome, answer = attempt.outcome, attempt.answer
    assert not isinstance(outcome, Delivered)
    said = redactor.redact(answer.message or answer.fault or "")
    return {"place": record.place, "reason": outcome.reason, "status": answer.status, "said": said}


def _print_summary(count: int, summary: dict[str, Any]) -> None:
    click.echo(f"{summary['published']} of {count} published")
    for one in summary["failed"][:_MOST_TOLD]:
        seen = ": ".join(str(part) for part in (f"HTTP {one['status']}" if one["status"] else "", one["said"]) if part)
        click.echo(shown(f"{one['place']}: {one['reason']} ({seen}) → {one['reason'].row.advice}"), err=True)
    if len(summary["failed"]) > _MOST_TOLD:
        click.echo(f"and {len(summary['failed']) - _MOST_TOLD} more", err=True)
    if summary["not_sent"]:
        click.echo(shown(f"{summary['not_sent']} not sent: {summary['ended']}"), err=True)
