"""The use case: inspect mapping files as an admin wants it: what is wrong in each, with what it refers to, and between them."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from relay.core.integration import Plain, Secret, Text
from relay.core.urls import check_url, normalised_url
from relay.errors import SecretMissingError
from relay.mapping_files.document import Document, DocumentPath, Fault, spell
from relay.mapping_files.folder import MappingFile
from relay.mapping_files.references import ca_files_of, destination_of, texts_of, url_of
from relay.secrets import SecretReader

#: Whose secrets must be there: web reads those of `auth` only, workers those of `iem` and `virima` only.
Side = Literal["web", "worker"]


@dataclass(frozen=True, slots=True)
class Need:
    """A variable or a file that a mapping refers to, and whether it is there."""

    key: str
    secret: Secret
    side: Side
    is_there: bool


def needs_of(document: Document, reader: SecretReader) -> Iterator[Need]:
    """Yield everything that must be there for a mapping, in the order of its keys."""
    for path, text in texts_of(document):
        if not isinstance(text, Plain):
            yield Need(spell(path), text, _side_of(path), _is_there(text, reader))


def _is_there(secret: Secret, reader: SecretReader) -> bool:
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
    """Return `files` with everything that is wrong with them, in the order of their lines.

    A secret or a file of certificates that cannot be read is a fault, but a warning where `side` does not need it; without
    a side both are needed. `neighbours` are looked at as rivals of `files`, and not told about themselves.
    """
    others = {_absolute(file): file for file in (*neighbours, *files)}
    return [_inspect(file, reader, side, list(others.values())) for file in files]


def _inspect(file: MappingFile, reader: SecretReader, side: Side | None, others: Sequence[MappingFile]) -> MappingFile:
    found = [*file.faults, *file.warnings]
    if file.document:
        found += _rivals(file, file.document, others, reader)
        found += _missing_secrets(file.document, texts_of(file.document), reader, side)
        found += _bad_certificates(file.document, side)
    found.sort(key=lambda fault: fault.position)
    return replace(
        file,
        faults=tuple(one for one in found if one.severity == "error"),
        warnings=tuple(one for one in found if one.severity == "warning"),
    )


def missing_secrets(file: MappingFile, reader: SecretReader, side: Side) -> tuple[Fault, ...]:
    """Return a fault for each secret of a good file that `side` needs, and that is not there. The other side's are not read."""
    if file.integration is None or file.document is None:
        return ()
    own = [(path, text) for path, text in texts_of(file.document) if _side_of(path) == side]
    return tuple(_missing_secrets(file.document, own, reader, side))


def _missing_secrets(
    document: Document, texts: Iterable[tuple[DocumentPath, Text]], reader: SecretReader, side: Side | None
) -> Iterator[Fault]:
    """Yield a fault for each of these variables and files, to which the mapping refers, that is not there."""
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
            if not stat.S_ISREG(Path(name).stat().st_mode):  # a pipe would be waited for
                yield _fault(path, "this is no file", document, side)
                continue
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=name)
        except ssl.SSLError:
            yield _fault(
                path, "no certificates in PEM (-----BEGIN CERTIFICATE-----) stand in this file", document, side
            )
        except OSError as error:
            yield _fault(path, f"this file cannot be read: {error.strerror}", document, side)


def _fault(path: DocumentPath, message: str, document: Document, side: Side | None) -> Fault:
    key = next(one for one in reversed(path) if isinstance(one, str))
    severity: Literal["error", "warning"] = "error" if side in {None, _side_of(path)} else "warning"
    return Fault(document.locate(path), f"{key}: {message}", spell(path), severity)


def _rivals(
    file: MappingFile, document: Document, others: Sequence[MappingFile], reader: SecretReader
) -> Iterator[Fault]:
    """Yield a warning where others push the same IEM integration from the same source."""
    own = destination_of(document)
    rivals = [
        other.path
        for other in others
        if own is not None
        and other.document is not None
        and _absolute(other) != _absolute(file)
        and destination_of(other.document) == own
        and not _is_elsewhere(document, other.document, reader)
    ]
    if own and rivals:
        whose = f"{rivals[0]} pushes" if len(rivals) == 1 else f"{rivals[0]} and {len(rivals) - 1} more push"
        message = (
            f"integration_id: {whose} {own.customer_id}/{own.integration_id} from {own.source}, too: "
            "each ticket that both are told of is pushed twice"
        )
        path = ("iem", "integration_id")
        yield Fault(document.locate(path), message, spell(path), "warning")


def _absolute(file: MappingFile) -> str:
    return os.path.abspath(file.path)  # noqa: PTH100 - Path.absolute leaves `..` in; links are followed by neither


def _is_elsewhere(document: Document, other: Document, reader: SecretReader) -> bool:
    """Tell whether two files push to different places; False where that is not known."""
    places = [_place_of(one, reader) for one in (document, other)]
    return None not in places and places[0] != places[1]


def _place_of(document: Document, reader: SecretReader) -> tuple[str, str, int | None, str] | None:
    url = url_of(document)
    try:
        text = url.text if isinstance(url, Plain) else reader.read(url) if url else ""
    except SecretMissingError:
        return None
    return None if check_url(text) else normalised_url(text)
