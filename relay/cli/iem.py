"""`relay iem …`: test an integration's IEM, and publish the contents of a file."""

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
from relay.cli.terminal import json_option, print_finding, print_json, printable, to_json
from relay.core.outcomes import Dead, Delivered, Park
from relay.core.plural import count_of
from relay.core.redact import Redactor
from relay.doctor.finding import has_failed
from relay.doctor.service_checks import ping_iem
from relay.errors import RequestBodyError, StoreUnavailableError
from relay.foundation import connect, iem_service, lay_foundation
from relay.iem.publish_bodies import Publication
from relay.iem.record_file import FileRecord, read_records
from relay.iem.service import Attempt, IemService

#: After this number of failures in a row, not counting refusals of single bodies, the remaining bodies are not sent.
_MAX_FAILURES_IN_A_ROW = 5
#: At most this number of faults or failures is printed.
_MAX_PRINTED = 50


@click.group
def iem() -> None:
    """Test an integration's connection to IEM, and publish to IEM."""


@iem.command
@click.argument("integration")
@json_option
def ping(integration: str, *, as_json: bool) -> None:
    """Test the connection to the IEM of INTEGRATION.

    Checks the network, the publish service, the token and the clock. Nothing is pushed. Exit status 1 if a check failed.

    \b
    Example:
      relay iem ping acme
    """
    findings = ping_iem(find_integration(integration), lay_foundation())
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            print_finding(finding)
    sys.exit(1 if has_failed(findings) else 0)


@iem.command
@click.argument("integration")
@click.argument("kind", type=click.Choice([publication.value for publication in Publication]))
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Check the bodies and print them; send nothing.")
@click.option(
    "--failed-to",
    type=click.File("w", "utf-8", lazy=False, atomic=True),
    help="File for the bodies that were not published, as JSON Lines.",
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
    """Publish the bodies in FILE to the IEM of INTEGRATION.

    FILE contains a JSON object, an array of objects or JSON Lines; - is standard input. A body without a customer gets the
    customer id of the mapping file; every other field is required. All bodies are checked first, and nothing is sent if one
    is faulty. Exit status 1 if a body was not published.

    \b
    Example:
      relay iem publish acme events events.jsonl --failed-to failed.jsonl
      relay iem publish acme metrics - --dry-run
    """
    mapped, publication = find_integration(integration), Publication(kind)
    records = _read(file, publication, mapped.iem.customer_id)
    if dry_run:
        for record in records:
            click.echo(to_json(record.body))
        click.echo(
            f"{count_of(len(records), 'body', 'bodies')} checked against the IEM guide; nothing was sent", err=True
        )
        return
    foundation = lay_foundation()
    service, _ = iem_service(mapped, foundation, connect(foundation.settings))
    with closing(service):
        batch = _Batch(service, publication, max_in_flight=mapped.iem.max_in_flight)
        attempts = batch.send(records)
    left = [(record, attempt) for record, attempt in zip(records, attempts, strict=True) if not _is_published(attempt)]
    failed = [_describe(record, attempt, foundation.redactor) for record, attempt in left if attempt is not None]
    summary = {
        "published": len(records) - len(left),
        "failed": failed,
        "not_sent": len(left) - len(failed),
        "ended": batch.ended,
    }
    print_json(summary) if as_json else _print_summary(len(records), summary)
    if failed_to is not None:
        failed_to.writelines(f"{json.dumps(record.body)}\n" for record, _ in left)
    sys.exit(1 if left else 0)


def _read(file: BinaryIO, publication: Publication, customer_id: str) -> list[FileRecord]:
    """Return the bodies of a file, or raise RequestBodyError after printing their faults."""
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestBodyError(f"{file.name} is not UTF-8 text (byte {error.start})") from None
    records = read_records(text, publication, customer_id)
    faults = [f"{file.name}: {record.place}: {problem}" for record in records for problem in record.problems]
    if faults:
        for line in faults[:_MAX_PRINTED]:
            click.echo(printable(line), err=True)
        more = f" ({len(faults) - _MAX_PRINTED} not shown)" if len(faults) > _MAX_PRINTED else ""
        raise RequestBodyError(f"{count_of(len(faults), 'fault')}{more}: nothing was sent")
    if not records:
        raise RequestBodyError(f"{file.name} contains nothing to publish")
    return records


class _Batch:
    """Publishes bodies, several at a time, until further bodies would fail as well, or Ctrl-C stops it."""

    def __init__(self, service: IemService, publication: Publication, *, max_in_flight: int) -> None:
        self._service = service
        self._publication = publication
        self._max_in_flight = max_in_flight
        self._lock = Lock()
        self._failures_in_a_row = 0
        self._has_ended = False
        #: Why bodies were left out; None if all were sent.
        self.ended: str | None = None

    def send(self, records: Sequence[FileRecord]) -> list[Attempt | None]:
        """Return the attempt for each record, in order; None for a record that was not sent."""
        attempts: list[Attempt | None] = [None] * len(records)

        def publish(number: int) -> None:
            # Stored here, not in the loop of the progress bar: after Ctrl-C, requests in flight still publish.
            attempts[number] = self._publish(records[number])

        with ThreadPoolExecutor(self._max_in_flight) as pool:
            try:
                finished = pool.map(publish, range(len(records)))
                with click.progressbar(finished, length=len(records), label="publishing", file=sys.stderr) as progress:
                    for _ in progress:
                        pass
            except KeyboardInterrupt:
                self._end("stopped")
        return attempts

    def _publish(self, record: FileRecord) -> Attempt | None:
        if self._has_ended:
            return None
        try:
            attempt = self._service.publish(self._publication, record.body)
        except StoreUnavailableError as error:
            self._end(str(error))
            return None
        with self._lock:
            is_final = isinstance(attempt.outcome, Delivered | Dead)
            self._failures_in_a_row = 0 if is_final else self._failures_in_a_row + 1
            if self._failures_in_a_row >= _MAX_FAILURES_IN_A_ROW or _is_account_refused(attempt):
                self._end("further bodies would fail as well")
        return attempt

    def _end(self, why: str) -> None:
        self._has_ended, self.ended = True, self.ended or why


def _is_account_refused(attempt: Attempt) -> bool:
    """Return whether IEM refuses the account. A refused customer can concern only one body."""
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
    for failure in summary["failed"][:_MAX_PRINTED]:
        status = f"HTTP {failure['status']}" if failure["status"] else ""
        answer = ": ".join(part for part in (status, failure["said"]) if part)
        reason = failure["reason"]
        click.echo(printable(f"{failure['place']}: {reason} ({answer}) → {reason.row.advice}"), err=True)
    if len(summary["failed"]) > _MAX_PRINTED:
        click.echo(f"and {len(summary['failed']) - _MAX_PRINTED} more", err=True)
    if summary["not_sent"]:
        click.echo(printable(f"{summary['not_sent']} not sent: {summary['ended']}"), err=True)
