"""All faults and warnings of mapping files: in each file, in its references (secrets, certificates), and between files."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from relay.core.references import Plain, Secret, Text
from relay.core.urls import check_url, normalised_url
from relay.errors import SecretMissingError
from relay.mapping_files.document import Document, DocumentPath, Fault, spell
from relay.mapping_files.external_references import ca_files_of, destination_of, texts_of, url_of
from relay.mapping_files.folder import MappingFile
from relay.secrets import SecretReader

#: The process that needs a secret: web reads those of `auth` only, workers those of `iem` and `virima` only.
Side = Literal["web", "worker"]


@dataclass(frozen=True, slots=True)
class Need:
    """A variable or file that a mapping refers to, and whether it exists."""

    key: str
    secret: Secret
    side: Side
    exists: bool


def needs_of(document: Document, reader: SecretReader) -> Iterator[Need]:
    """Yield every variable and file that a mapping needs, in the order of its keys."""
    for path, text in texts_of(document):
        if not isinstance(text, Plain):
            yield Need(spell(path), text, _side_of(path), _exists(text, reader))


def _exists(secret: Secret, reader: SecretReader) -> bool:
    try:
        reader.read(secret)
    except SecretMissingError:
        return False
    return True


def _side_of(path: DocumentPath) -> Side:
    return "web" if path[0] == "auth" else "worker"


def inspect(
    files: Sequence[MappingFile],
    reader: SecretReader,
    side: Side | None = None,
    *,
    neighbours: Sequence[MappingFile] = (),
) -> list[MappingFile]:
    """Return `files` with all of their faults and warnings, in the order of their lines.

    A secret or certificate file that cannot be read is a fault, or a warning if `side` does not need it. Without a side,
    all are needed. `neighbours` are compared with `files`; their own faults are not returned.
    """
    others = {_absolute(file): file for file in (*neighbours, *files)}
    return [_inspect(file, reader, side, list(others.values())) for file in files]


def _inspect(file: MappingFile, reader: SecretReader, side: Side | None, others: Sequence[MappingFile]) -> MappingFile:
    found = [*file.faults, *file.warnings]
    if file.document:
        found += _same_destination(file, file.document, others, reader)
        found += _missing_secrets(file.document, texts_of(file.document), reader, side)
        found += _bad_certificates(file.document, side)
    found.sort(key=lambda fault: fault.position)
    return replace(
        file,
        faults=tuple(fault for fault in found if fault.severity == "error"),
        warnings=tuple(fault for fault in found if fault.severity == "warning"),
    )


def missing_secrets(file: MappingFile, reader: SecretReader, side: Side) -> tuple[Fault, ...]:
    """Return a fault for each missing secret of a valid file that `side` needs. Secrets of the other side are not read."""
    if file.integration is None or file.document is None:
        return ()
    own = [(path, text) for path, text in texts_of(file.document) if _side_of(path) == side]
    return tuple(_missing_secrets(file.document, own, reader, side))


def _missing_secrets(
    document: Document, texts: Iterable[tuple[DocumentPath, Text]], reader: SecretReader, side: Side | None
) -> Iterator[Fault]:
    """Yield a fault for each of `texts` whose variable or file is missing."""
    for path, text in texts:
        try:
            value = reader.read(text)
        except SecretMissingError as error:
            yield _fault(path, str(error), document, side)
            continue
        if path[-1] == "url" and (fault := check_url(value)):
            yield _fault(path, fault, document, side)


def _bad_certificates(document: Document, side: Side | None) -> Iterator[Fault]:
    for path, name in ca_files_of(document):
        try:
            if not stat.S_ISREG(Path(name).stat().st_mode):  # reading a pipe would wait
                yield _fault(path, "this is not a regular file", document, side)
                continue
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=name)
        except ssl.SSLError:
            yield _fault(
                path, "this file contains no certificates in PEM format (-----BEGIN CERTIFICATE-----)", document, side
            )
        except OSError as error:
            yield _fault(path, f"cannot read this file: {error.strerror}", document, side)


def _fault(path: DocumentPath, message: str, document: Document, side: Side | None) -> Fault:
    key = next(part for part in reversed(path) if isinstance(part, str))
    severity: Literal["error", "warning"] = "error" if side in {None, _side_of(path)} else "warning"
    return Fault(document.locate(path), f"{key}: {message}", spell(path), severity)


def _same_destination(
    file: MappingFile, document: Document, others: Sequence[MappingFile], reader: SecretReader
) -> Iterator[Fault]:
    """Yield a warning if other files push the tickets of the same source to the same IEM integration."""
    own = destination_of(document)
    same = [
        other.path
        for other in others
        if own is not None
        and other.document is not None
        and _absolute(other) != _absolute(file)
        and destination_of(other.document) == own
        and not _is_elsewhere(document, other.document, reader)
    ]
    if own and same:
        files = f"{same[0]} also pushes" if len(same) == 1 else f"{same[0]} and {len(same) - 1} more files also push"
        message = (
            f"integration_id: {files} tickets from {own.source} to {own.customer_id}/{own.integration_id}: "
            "a ticket that is posted to more than one of these integrations is pushed more than once"
        )
        path = ("iem", "integration_id")
        yield Fault(document.locate(path), message, spell(path), "warning")


def _absolute(file: MappingFile) -> str:
    return os.path.abspath(file.path)  # noqa: PTH100 - Path.absolute keeps `..`; neither follows links


def _is_elsewhere(document: Document, other: Document, reader: SecretReader) -> bool:
    """Return whether two files push to different places; False if unknown."""
    places = [_place_of(each, reader) for each in (document, other)]
    return None not in places and places[0] != places[1]


def _place_of(document: Document, reader: SecretReader) -> tuple[str, str, int | None, str] | None:
    url = url_of(document)
    try:
        text = url.text if isinstance(url, Plain) else reader.read(url) if url else ""
    except SecretMissingError:
        return None
    return None if check_url(text) else normalised_url(text)
