"""The chain of seals over an integration's audit trail: adds seals, and drops the oldest with the records that they seal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from relay.core.seals import Anchor, Seal, id_order
from relay.store.connection import Connection, pairs
from relay.store.keys import key


class SealChain:
    """The seals of all integrations. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def seals(self, integration: str, *, page_size: int = 100) -> Iterator[Seal]:
        """Return the seals of an integration, oldest first, read `page_size` at a time."""
        start = "-"
        while True:
            found = self._connection.call("XRANGE", key(integration, "seals"), start, "+", "COUNT", page_size)
            yield from (_read_seal(integration, record_id, flat) for record_id, flat in found)
            if len(found) < page_size:
                return
            start = f"({found[-1][0]}"

    def last(self, integration: str) -> Seal | None:
        """Return the latest seal, or None."""
        found = self._connection.call("XREVRANGE", key(integration, "seals"), "+", "-", "COUNT", 1)
        return _read_seal(integration, *found[0]) if found else None

    def anchor(self, integration: str) -> Anchor | None:
        """Return the anchor that the first seal refers to after older seals were dropped, or None."""
        fields = pairs(self._connection.call("HGETALL", key(integration, "seals:anchor")))
        if not fields:
            return None
        try:
            return Anchor(
                integration, int(fields["number"]), fields["seal"], fields["last"], fields["key"], fields["mac"]
            )
        except (KeyError, ValueError):
            return Anchor(integration, 0, "", "0-0", "damaged", "")

    def add(self, seal: Seal) -> bool:
        """Add a seal to the chain; False if another process added a seal with its number first."""
        records = _pack(seal.records)
        arguments: list[str | int] = [0, "seal", seal.number, seal.previous, seal.key, records, seal.mac]
        return bool(self._connection.run("trail", key(seal.integration, "queue"), arguments))

    def drop(self, anchor: Anchor) -> None:
        """Drop the seals up to the anchor's, with their records, and store the anchor, in one step."""
        milliseconds, sequence = id_order(anchor.last)
        arguments: list[str | int] = [
            0, "drop", anchor.number, anchor.seal, anchor.last, anchor.key, anchor.mac, f"{milliseconds}-{sequence + 1}",
        ]  # fmt: skip
        self._connection.run("trail", key(anchor.integration, "queue"), arguments)


def _read_seal(integration: str, record_id: str, flat: Any) -> Seal:
    fields = pairs(flat)
    number, _ = id_order(record_id)
    try:
        return Seal(integration, number, fields["previous"], fields["key"], _unpack(fields["records"]), fields["mac"])
    except (KeyError, ValueError):
        return Seal(integration, number, "", "damaged", (), "")


def _pack(records: Sequence[tuple[str, str]]) -> str:
    """Return ids and digests as one text. Each time is relative to the first one, which halves the memory."""
    start = id_order(records[0][0])[0]
    orders = ((id_order(record_id), digest) for record_id, digest in records)
    return f"{start} " + " ".join(f"{ms - start}-{sequence} {digest}" for (ms, sequence), digest in orders)


def _unpack(text: str) -> tuple[tuple[str, str], ...]:
    start, *rest = text.split(" ")
    ids = (id_order(text) for text in rest[::2])
    return tuple(
        (f"{int(start) + ms}-{sequence}", digest) for (ms, sequence), digest in zip(ids, rest[1::2], strict=True)
    )
