"""The use case: inspect mapping files as an admin wants it: what is wrong in each, with what it refers to, and between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from relay.core.document import DocumentPath, Fault, spell
from relay.core.integration import BasicAuth, HeaderAuth, Integration, Plain, Secret, Text
from relay.core.readers import check_url
from relay.errors import SecretMissingError
from relay.mappings import MappingFile
from relay.secret_reader import SecretReader

#: Whose secrets must be there: web reads those of `auth` only, workers those of `iem` and `virima` only.
Side = Literal["web", "worker"]


@dataclass(frozen=True, slots=True)
class Need:
    """A variable or a file that a mapping refers to, and whether it is there."""

    key: str
    secret: Secret
    side: Side
    is_there: bool


def needs_of(integration: Integration, reader: SecretReader) -> Iterator[Need]:
    """Yield everything that must be there for `integration`, in the order of its keys."""
    for path, text in _texts_of(integration):
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


def inspect(files: Sequence[MappingFile], reader: SecretReader, side: Side | None = None) -> list[MappingFile]:
    """Return `files` with everything that is wrong with them, in the order of their lines.

    A secret that cannot be read is a fault, but a warning where `side` does not need it; without a side both are needed.
    """
    rivals = _rivals(files)
    return [_inspect(file, reader, side, rivals.get(file.path.as_posix(), [])) for file in files]


def _inspect(file: MappingFile, reader: SecretReader, side: Side | None, rivals: list[Fault]) -> MappingFile:
    found = [*file.faults, *file.warnings, *rivals, *_missing_secrets(file, reader, side)]
    found.sort(key=lambda fault: fault.position)
    return replace(
        file,
        faults=tuple(one for one in found if one.severity == "error"),
        warnings=tuple(one for one in found if one.severity == "warning"),
    )


def missing_secrets(file: MappingFile, reader: SecretReader, side: Side) -> tuple[Fault, ...]:
    """Return a fault for each secret of a good file that `side` needs, and that is not there."""
    return tuple(one for one in _missing_secrets(file, reader, side) if one.severity == "error")


def _missing_secrets(file: MappingFile, reader: SecretReader, side: Side | None) -> Iterator[Fault]:
    """Return a fault for each variable and file that the mapping refers to and that is not there."""
    if file.integration is None or file.document is None:
        return
    for path, text in _texts_of(file.integration):
        severity: Literal["error", "warning"] = "error" if side in {None, _side_of(path)} else "warning"
        place, key = file.document.locate(path), str(next(one for one in reversed(path) if isinstance(one, str)))
        try:
            value = reader.read(text)
        except SecretMissingError as error:
            yield Fault(place, f"{key}: {error}", spell(path), severity)
            continue
        if key == "url" and (fault := check_url(value)):
            yield Fault(place, f"url: {fault}", spell(path), severity)


def _texts_of(integration: Integration) -> Iterator[tuple[DocumentPath, Text]]:
    """Return everything that the mapping refers to, with the path of where it stands."""
    for index, method in enumerate(integration.authentications):
        match method:
            case BasicAuth(password=secret):
                yield ("auth", index, "password"), secret
            case HeaderAuth(value=secret):
                yield ("auth", index, "value"), secret
            case _:
                for which, secret in enumerate(method.secrets):
                    # A single secret stands there without a list: the place is then that of the key's value.
                    yield ("auth", index, "secret", *([which] if len(method.secrets) > 1 else [])), secret
    for block, service in (("iem", integration.iem), ("virima", integration.virima)):
        if service:
            texts = {"url": service.url, "username": service.username, "password": service.password}
            yield from (((block, name), text) for name, text in texts.items())


def _rivals(files: Sequence[MappingFile]) -> dict[str, list[Fault]]:
    """Return, by file, a warning where another one pushes the same IEM integration from the same source."""
    found: dict[str, list[Fault]] = {}
    for file in files:
        for other in files:
            if file.path != other.path and _are_rivals(file.integration, other.integration):
                assert file.integration
                assert file.document
                iem = file.integration.iem
                message = (
                    f"integration_id: {other.path} pushes {iem.customer_id}/{iem.integration_id} from "
                    f"{file.integration.source}, too: each ticket that both are told of is pushed twice"
                )
                path = ("iem", "integration_id")
                fault = Fault(file.document.locate(path), message, spell(path), "warning")
                found.setdefault(file.path.as_posix(), []).append(fault)
    return found


def _are_rivals(one: Integration | None, other: Integration | None) -> bool:
    if one is None or other is None or not (one.enabled and other.enabled) or one.source != other.source:
        return False
    urls = [iem.url.text.rstrip("/").lower() for iem in (one.iem, other.iem) if isinstance(iem.url, Plain)]
    elsewhere = len(urls) == 2 and urls[0] != urls[1]
    target, its_target = ((iem.customer_id, iem.integration_id) for iem in (one.iem, other.iem))
    return target == its_target and not elsewhere
