"""An integration as its mapping file describes it: typed, validated, frozen.

Every key of a mapping file is declared once, as a dataclass field: here, in `mapping_blocks`, or in `authentication`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, get_args

from relay.core.authentication import Authentication
from relay.core.id_pattern import IdPattern
from relay.core.mapping_blocks import (
    DedupeBlock,
    IemBlock,
    MappingTest,
    PublishBlock,
    RecordPaths,
    RetryBlock,
    VirimaBlock,
)
from relay.core.mapping_key import Block, Choice, Kind, ListOf, Presence, Range, key
from relay.core.paths import FieldPath

Source = Literal["servicenow", "service-exchange"]
SOURCES: tuple[Source, ...] = get_args(Source)
UnlistedStates = Literal["ignore", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """One mapping file: one ITSM source paired with one IEM customer id and integration id."""

    name: str
    source: Source = key(
        Choice(SOURCES),
        "the ITSM tool. Sets the defaults of `records`, `fields`, `sys_id_pattern` and `states`",
    )
    enabled: bool = key(
        Kind.BOOLEAN,
        "`false`: webhooks are answered 404, and pending deliveries wait, parked as `disabled`. This time does "
        "not count towards `retry.give_up_after`",
        default=True,
    )
    description: str = key(Kind.TEXT, "free text about the integration", default="", example="ACME production")
    authentications: tuple[Authentication, ...] = key(
        Kind.AUTHENTICATIONS,
        "who may post. A webhook that satisfies one of the methods is accepted. `none` accepts every sender",
        example=[{"type": "basic", "username": "servicenow", "password": {"env": "ACME_WEBHOOK_PASSWORD"}}],
        name="auth",
    )
    allow_from: tuple[IPv4Network | IPv6Network, ...] = key(
        Kind.NETWORKS,
        "addresses that may post. Without it, any address may. Behind a proxy, set `RELAY_TRUSTED_PROXIES`",
        default=(),
        example=["10.0.0.0/8", "192.0.2.17"],
    )
    rate_limit: int | None = key(
        Range(1, 10_000),
        "webhooks per second, over all web processes; bursts of one second's worth are accepted. More are answered 429",
        default=None,
        example=50,
    )
    records: FieldPath = key(
        Kind.PATH,
        'the record or the list of records in the body; `"@"` is the whole body',
        default=Presence.FROM_SOURCE,
        example="result || @",
    )
    fields: Mapping[str, tuple[FieldPath, ...]] = key(
        Block(RecordPaths),
        "paths inside a record. Merged with those of the source, key by key",
        default=Presence.FROM_SOURCE,
    )
    sys_id_pattern: IdPattern = key(
        Kind.PATTERN,
        "what a ticket id must match. Write `^` and `$`, or a match anywhere in the id suffices. An id "
        "that takes the expression longer than 100 ms is rejected: nested repetitions are slow",
        default=Presence.FROM_SOURCE,
    )
    #: By `values.state_key`.
    states: Mapping[str, int] = key(
        Kind.STATES,
        "the states that are relayed. Replaces the list of the source",
        default=Presence.FROM_SOURCE,
    )
    #: By `values.table_key`, then by `values.state_key`.
    tables: Mapping[str, Mapping[str, int]] = key(Kind.TABLES, "states of tables other than incident", default={})
    unlisted_states: UnlistedStates = key(
        Choice(get_args(UnlistedStates)),
        "what to do with a state that is not listed: `ignore` (200) or `reject` (422)",
        default="ignore",
    )
    dedupe: DedupeBlock = key(Block(DedupeBlock), "when two updates are the same", default=DedupeBlock())
    iem: IemBlock = key(Block(IemBlock), "where updates are pushed")
    retry: RetryBlock = key(Block(RetryBlock), "how failed pushes are repeated", default=RetryBlock())
    virima: VirimaBlock | None = key(Block(VirimaBlock), "look up in Virima who resolved the ticket", default=None)
    publish: PublishBlock | None = key(
        Block(PublishBlock), "what the relay publishes about itself to IEM", default=None
    )
    tests: tuple[MappingTest, ...] = key(
        ListOf(MappingTest),
        "example payloads with the expected result; a file with a failing test is not used",
        default=(),
    )
    #: The first 12 hex digits of the SHA-256 of the file's text: the version of the mapping.
    digest: str
