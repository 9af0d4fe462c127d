"""What a mapping file refers to outside itself, as far as it can be read: of files with faults, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from marshmallow import ValidationError

from relay.core.integration import Text
from relay.mapping_files.document import Document, DocumentPath
from relay.mapping_files.printable_keys import SECRET
from relay.mapping_files.reference_readers import read_secret, read_setting, read_url
from relay.mapping_files.value_readers import read_boolean, read_text

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Destination:
    """What an integration pushes where: two files with the same one push each ticket twice."""

    source: str
    customer_id: str
    integration_id: str


def texts_of(document: Document) -> Iterator[tuple[DocumentPath, Text]]:
    """Yield everything that may stand in a variable or a file, with the path of where it stands."""
    methods = _block(document, "auth", list)
    for index, method in enumerate(methods or []):
        if isinstance(method, Mapping):
            yield from _secrets_of(("auth", index), method)
    for block in ("iem", "virima"):
        service = _block(document, block, dict) or {}
        for key, read in (("url", read_url), ("username", read_setting)):
            if text := _try(read, service.get(key)):
                yield (block, key), text
        yield from _secrets_of((block,), service)


def ca_files_of(document: Document) -> Iterator[tuple[DocumentPath, str]]:
    """Yield the files of certificates that a file names, with the paths of where they stand."""
    for block in ("iem", "virima"):
        name = _try(read_text, (_block(document, block, dict) or {}).get("ca_file"))
        if name:
            yield (block, "ca_file"), name


def destination_of(document: Document) -> Destination | None:
    """Return what a file pushes where; None where it is switched off, or does not say so yet."""
    tree = document.tree if isinstance(document.tree, dict) else {}
    iem = _block(document, "iem", dict) or {}
    told = [_try(read_text, one) for one in (tree.get("source"), iem.get("customer_id"), iem.get("integration_id"))]
    if _try(read_boolean, tree.get("enabled")) is False or not all(told):
        return None
    return Destination(*(one or "" for one in told))


def url_of(document: Document) -> Text | None:
    """Return where a file pushes to."""
    return _try(read_url, (_block(document, "iem", dict) or {}).get("url"))


def _secrets_of(path: DocumentPath, block: Mapping[str, Any]) -> Iterator[tuple[DocumentPath, Text]]:
    for key in block:
        if key in SECRET:
            several = isinstance(block[key], list)
            for which, written in enumerate(block[key] if several else [block[key]]):
                if secret := _try(read_secret, written):
                    yield (*path, key, *([which] if several else [])), secret


def _block(document: Document, key: str, kind: type[_T]) -> _T | None:
    tree = document.tree
    found = tree.get(key) if isinstance(tree, dict) else None
    return found if isinstance(found, kind) else None


def _try(read: Callable[[Any], _T], value: Any) -> _T | None:
    try:
        return None if value is None else read(value)
    except ValidationError:
        return None  # a fault that is told already
