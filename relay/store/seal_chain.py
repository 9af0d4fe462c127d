"""The chain of seals over an integration's audit trail: adding to it, and dropping its old end with the records it seals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from relay.core.seal import Anchor, Seal, id_order
from relay.store.connection import Connection, pairs
from relay.store.keys import key


class SealChain:
    """The seals of all integrations. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def seals(self, integration: str, *, at_once: int = 100) -> Iterator[Seal]:
        """Return an integration's seals, oldest first, read so many `at_once`."""
        start = "-"
        while True:
            found = self._connection.call("XRANGE", key(integration, "seals"), start, "+", "COUNT", at_once)
            yield from (_read_seal(integration, an_id, flat) for an_id, flat in found)
            if len(found) < at_once:
                return
            start = f"({found[-1][0]}"

    def last(self, integration: str) -> Seal | None:
        """Return the youngest seal."""
        found = self._connection.call("XREVRANGE", key(integration, "seals"), "+", "-", "COUNT", 1)
        return _read_seal(integration, *found[0]) if found else None

    def anchor(self, integration: str) -> Anchor | None:
        """Return what the chain's head hangs on where older seals were dropped."""
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
        """Add a seal to the chain; False where another process added one of this number first."""
        records = _pack(seal.records)
        arguments: list[str | int] = [0, "seal", seal.number, seal.previous, seal.key, records, seal.mac]
        return bool(self._connection.run("trail", key(seal.integration, "queue"), arguments))

    def drop(self, anchor: Anchor) -> None:
        """Drop the seals up to the anchor's, with their records, and hang the chain on the anchor: in one step."""
        milliseconds, sequence = id_order(anchor.last)
        arguments: list[str | int] = [
            0, "drop", anchor.number, anchor.seal, anchor.last, anchor.key, anchor.mac, f"{milliseconds}-{sequence + 1}",
        ]  # fmt: skip
        self._connection.run("trail", key(anchor.integration, "queue"), arguments)


def _read_seal(integration: str, an_id: str, flat: Any) -> Seal:
    fields = pairs(flat)
    number, _ = id_order(an_id)
    try:
        return Seal(integration, number, fields["previous"], fields["key"], _unpack(fields["records"]), fields["mac"])
    except (KeyError, ValueError):
        return Seal(integration, number, "", "damaged", (), "")


def _pack(records: Sequence[tuple[str, str]]) -> str:
    """Return ids and digests as one text, each time as its distance from the first one: half the memory."""
    start = id_order(records[0][0])[0]
    orders = ((id_order(an_id), digest) for an_id, digest in records)
    return f"{start} " + " ".join(f"{ms - start}-{sequence} {digest}" for (ms, sequence), digest in orders)


def _unpack(text: str) -> tuple[tuple[str, str], ...]:
    start, *rest = text.split(" ")
    ids = (id_order(one) for one in rest[::2])
    return tuple(
        (f"{int(start) + ms}-{sequence}", digest) for (ms, sequence), digest in zip(ids, rest[1::2], strict=True)
    )
