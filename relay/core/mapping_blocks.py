"""The blocks of keys in a mapping file, such as `fields`, `iem` and `retry`. Durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from relay.core.mapping_key import Block, Choice, Duration, Kind, Presence, Range, key
from relay.core.paths import FieldPath
from relay.core.references import Secret, Text

IemAuth = Literal["token", "basic"]
VirimaLookup = Literal["impersonate", "session"]
RejectedField = Literal["sys_id", "state", "records"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPaths:
    """The keys of `fields`: the paths of each field in a record."""

    sys_id: tuple[FieldPath, ...] = key(
        Kind.PATHS, "the ticket's id. IEM receives it as `sysid`", default=Presence.FROM_SOURCE, example="sys_id"
    )
    state: tuple[FieldPath, ...] = key(
        Kind.PATHS, "the ticket's state", default=Presence.FROM_SOURCE, example=["state", "incident_state"]
    )
    table: tuple[FieldPath, ...] = key(
        Kind.PATHS,
        "the record's table: `incident`, `problem` … A record without one is an incident",
        default=Presence.FROM_SOURCE,
        example="sys_class_name",
    )
    number: tuple[FieldPath, ...] = key(
        Kind.PATHS, "the ticket's number, as people know it", default=Presence.FROM_SOURCE, example="number"
    )
    version: tuple[FieldPath, ...] = key(
        Kind.PATHS,
        "a number that grows with every update. It orders the updates of a ticket: send it if you can",
        default=Presence.FROM_SOURCE,
        example="sys_mod_count",
    )
    updated_at: tuple[FieldPath, ...] = key(
        Kind.PATHS,
        "when the ticket was updated: ISO 8601 date and time, in UTC if it has no zone. Orders updates that have no version",
        default=Presence.FROM_SOURCE,
        example="sys_updated_on",
    )
    resolved_by: tuple[FieldPath, ...] = key(
        Kind.PATHS,
        "who resolved the ticket: an email address",
        default=Presence.FROM_SOURCE,
        example=["resolved_by.email", "resolved_by"],
    )


#: The fields that a mapping can find in a record, in the order in which they are reported.
FIELDS = tuple(field.name for field in fields(RecordPaths))


@dataclass(frozen=True, slots=True)
class TableBlock:
    """The keys of one table under `tables`."""

    states: Mapping[str, int] = key(Kind.STATES, "the states of this table, written as in `states`")


@dataclass(frozen=True, slots=True)
class DedupeBlock:
    """How long an identity is remembered, and whether states with the same IEM state are one update."""

    window: float = key(
        Duration("1s", "30d"),
        "how long a repeated update is recognised. At most 10 minutes for updates with neither version nor `updated_at`",
        default="24h",
    )
    collapse: bool = key(
        Kind.BOOLEAN, "Resolved followed by Closed, both mapped to one IEM state, makes one push", default=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IemBlock:
    """How IEM is reached, and with which account."""

    url: Text = key(
        Kind.URL,
        "the organisation's Hosted_API of IEM, `https://`. Plain `http://` is accepted for a loopback host only",
        example="https://iem.example.com",
        access=True,
    )
    customer_id: str = key(Kind.TEXT, "the customer id in IEM", example="ACME", access=True)
    integration_id: str = key(Kind.TEXT, "the integration id in IEM", example="42", access=True)
    auth: IemAuth = key(
        Choice(get_args(IemAuth)),
        "`token`: the workers fetch a token and share it. `basic`: user name and password with every push",
        default="token",
        access=True,
    )
    username: Text = key(
        Kind.TEXT_OR_REFERENCE,
        "the API user. An account that can log in to IEM's pages cannot use this API",
        example="relay-api@example.com",
        access=True,
    )
    password: Secret = key(Kind.SECRET, "the API user's password", access=True)
    timeout: float = key(Duration("100ms", "60s"), "limit for one call", default="10s")
    max_in_flight: int = key(Range(1, 256), "concurrent pushes per worker process", default=8)
    ca_file: str | None = key(
        Kind.FILE,
        "the certificates (PEM) of a private CA. Verification cannot be switched off",
        default=None,
        example="/etc/ssl/private-ca.pem",
        access=True,
    )


@dataclass(frozen=True, slots=True)
class RetryBlock:
    """The schedule of retries."""

    first: float = key(
        Duration("10ms", "1h"),
        "delay before the first retry. Each further delay is doubled, with up to 20 % jitter",
        default="5s",
    )
    most: float = key(Duration("10ms", "24h"), "longest delay between retries", default="10m")
    give_up_after: float = key(
        Duration("1s", "90d"),
        "after this time the delivery becomes a dead letter. Time during which the integration is parked does not count",
        default="48h",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VirimaBlock:
    """How resolvers are looked up in Virima."""

    url: Text = key(
        Kind.URL,
        "the base URL of the installation, `https://`",
        example="https://login.virima.com/www_em/",
        access=True,
    )
    username: Text = key(Kind.TEXT_OR_REFERENCE, "the service account", example={"env": "VIRIMA_USERNAME"}, access=True)
    password: Secret = key(Kind.SECRET, "the service account's password", access=True)
    lookup: VirimaLookup = key(
        Choice(get_args(VirimaLookup)),
        "how users are looked up",
        access=True,
    )
    cache: float = key(Duration("1s", "30d"), "how long a user is cached", default="1h")
    timeout: float = key(Duration("100ms", "60s"), "limit for one call", default="10s")
    ca_file: str | None = key(
        Kind.FILE,
        "the certificates (PEM) of a private CA. Verification cannot be switched off",
        default=None,
        example="/etc/ssl/private-ca.pem",
        access=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishBlock:
    """What the relay publishes about itself to IEM."""

    heartbeat: float | None = key(
        Duration("10s", "1d"), "interval at which the adaptor health is published", default=None, example="5m"
    )
    metrics: float | None = key(
        Duration("10s", "1d"), "interval at which metrics are published", default=None, example="5m"
    )
    events: bool = key(
        Kind.BOOLEAN,
        "publish an event when the integration is parked or a delivery becomes a dead letter",
        default=False,
    )
    topology: bool = key(
        Kind.BOOLEAN, "publish the relay as an entity and a service, at start and daily", default=False
    )
    backlog_age: float = key(
        Duration("1m", "7d"),
        "age of the oldest pending delivery from which the health is Amber and an event is published",
        default="15m",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The expected result of a test: exactly one of its keys."""

    state: int | None = key(Kind.INTEGER, "relayed with this IEM state", default=Presence.OPTIONAL, example=6)
    ignored: bool | None = key(Kind.TRUE, "not relayed", default=Presence.OPTIONAL)
    rejected: RejectedField | None = key(
        Choice(get_args(RejectedField)), "rejected because of this field", default=Presence.OPTIONAL
    )


@dataclass(frozen=True, slots=True)
class MappingTest:
    """A payload in the mapping file with its expected result."""

    name: str = key(Kind.TEXT, "what the test shows", example="a resolved incident is relayed")
    payload: Any = key(
        Kind.ANY,
        "the body of a webhook. Every record in it must have the expected result",
        example={"sys_id": "9d385017c611228701d22104cc95c371", "state": "6"},
    )
    expect: Expectation = key(Block(Expectation), "the expected result: exactly one of the following keys")
