"""The external references of a mapping file: secrets, certificates, and its destination. The file can have faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from marshmallow import ValidationError

from relay.core.references import Text
from relay.mapping_files.document import Document, DocumentPath
from relay.mapping_files.printable_keys import GUARDED
from relay.mapping_files.reader_field import ReaderField
from relay.mapping_files.reference_readers import read_secret, read_secrets, read_text_or_reference, read_url
from relay.mapping_files.value_readers import read_boolean, read_text

_T = TypeVar("_T")
#: The readers of values that can be references, with the reader of a single value.
_READERS: Mapping[Callable[[Any], Any], Callable[[Any], Text]] = {
    read_secret: read_secret,
    read_secrets: read_secret,
    read_text_or_reference: read_text_or_reference,
    read_url: read_url,
}


@dataclass(frozen=True, slots=True)
class Destination:
    """The source of an integration, and its integration in IEM. Two files with the same destination push each ticket twice."""

    source: str
    customer_id: str
    integration_id: str


def texts_of(document: Document) -> Iterator[tuple[DocumentPath, Text]]:
    """Yield every value that can be a reference, with its path."""
    for index, method in enumerate(_block(document, "auth", list) or []):
        if isinstance(method, Mapping):
            yield from _texts_in("auth", ("auth", index), method)
    for block in ("iem", "virima"):
        yield from _texts_in(block, (block,), _block(document, block, dict) or {})


def ca_files_of(document: Document) -> Iterator[tuple[DocumentPath, str]]:
    """Yield the names of certificate files, with their paths in the document."""
    for block in ("iem", "virima"):
        name = _try(read_text, (_block(document, block, dict) or {}).get("ca_file"))
        if name:
            yield (block, "ca_file"), name


def destination_of(document: Document) -> Destination | None:
    """Return the destination of a file; None if the file is disabled or incomplete."""
    tree = document.tree if isinstance(document.tree, dict) else {}
    iem = _block(document, "iem", dict) or {}
    keys = (tree.get("source"), iem.get("customer_id"), iem.get("integration_id"))
    source, customer_id, integration_id = (_try(read_text, value) or "" for value in keys)
    if _try(read_boolean, tree.get("enabled")) is False or not (source and customer_id and integration_id):
        return None
    return Destination(source, customer_id, integration_id)


def url_of(document: Document) -> Text | None:
    """Return the URL that a file pushes to."""
    return _try(read_url, (_block(document, "iem", dict) or {}).get("url"))


def _texts_in(block: str, path: DocumentPath, content: Mapping[str, Any]) -> Iterator[tuple[DocumentPath, Text]]:
    for key, value in content.items():
        field = GUARDED[block].get(key)
        read = _READERS.get(field.read) if isinstance(field, ReaderField) else None
        if read is None:
            continue
        is_list = isinstance(value, list)
        for index, item in enumerate(value if is_list else [value]):
            if text := _try(read, item):
                yield (*path, key, *([index] if is_list else [])), text


def _block(document: Document, key: str, kind: type[_T]) -> _T | None:
    tree = document.tree
    found = tree.get(key) if isinstance(tree, dict) else None
    return found if isinstance(found, kind) else None


def _try(read: Callable[[Any], _T], value: Any) -> _T | None:
    try:
        return None if value is None else read(value)
    except ValidationError:
        return None  # the parser reports this fault
