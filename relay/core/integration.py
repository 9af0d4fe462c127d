"""An integration as its mapping file says (DESIGN section 4): typed, validated, frozen. Durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal

from relay.core.id_pattern import IdPattern
from relay.core.paths import FieldPath

Source = Literal["servicenow", "service-exchange"]
#: The fields that a mapping can find in a record, in the order in which they are told.
FIELDS = ("sys_id", "state", "table", "number", "version", "updated_at", "resolved_by")


@dataclass(frozen=True, slots=True)
class Env:
    """A value that stands in an environment variable."""

    name: str


@dataclass(frozen=True, slots=True)
class File:
    """A value that stands in a file, less the line's end."""

    path: str


@dataclass(frozen=True, slots=True)
class Plain:
    """A value that is no secret and stands in the mapping file."""

    text: str


Secret = Env | File
Text = Plain | Env | File


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """RFC 7617."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class HmacAuth:
    """A signature over the raw body, or over `<timestamp>.<body>` where `timestamp_header` is set."""

    header: str
    algorithm: Literal["sha1", "sha256", "sha512"]
    encoding: Literal["any", "hex", "base64"]
    secrets: tuple[Secret, ...]
    timestamp_header: str | None = None


@dataclass(frozen=True, slots=True)
class HeaderAuth:
    """An API key in a header, behind `scheme` and a space where there is one."""

    header: str
    value: Secret
    scheme: str | None = None


@dataclass(frozen=True, slots=True)
class StandardWebhooksAuth:
    """standardwebhooks.com: webhook-id, webhook-timestamp, webhook-signature."""

    secrets: tuple[Secret, ...]


Authentication = BasicAuth | HmacAuth | HeaderAuth | StandardWebhooksAuth


@dataclass(frozen=True, slots=True)
class DedupeBlock:
    """How long an identity is remembered, and whether states that map to one IEM state are one."""

    window: float
    collapse: bool


@dataclass(frozen=True, slots=True)
class IemBlock:
    """Where and as whom to push."""

    url: Text
    customer_id: str
    integration_id: str
    auth: Literal["token", "basic"]
    username: Text
    password: Secret
    timeout: float
    max_in_flight: int
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class RetryBlock:
    """The schedule of retries: `first`, doubling with jitter up to `most`, given up after `give_up_after` unparked."""

    first: float
    most: float
    give_up_after: float


@dataclass(frozen=True, slots=True)
class VirimaBlock:
    """Where and how resolvers are looked up."""

    url: Text
    username: Text
    password: Secret
    lookup: Literal["impersonate", "session"]
    cache: float
    timeout: float
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class PublishBlock:
    """What the relay tells IEM of itself; None: not that."""

    heartbeat: float | None
    metrics: float | None
    events: bool
    topology: bool
    #: A pending delivery that is older is told (seconds).
    backlog_age: float


@dataclass(frozen=True, slots=True)
class MappingTest:
    """An example in the mapping file: what a payload must come to."""

    name: str
    payload: Any
    state: int | None = None
    ignored: bool = False
    rejected: str | None = None


@dataclass(frozen=True, slots=True)
class Integration:
    """One mapping file: one ITSM source paired with one IEM customer id and integration id."""

    name: str
    source: Source
    enabled: bool
    description: str
    authentications: tuple[Authentication, ...]
    allow_from: tuple[IPv4Network | IPv6Network, ...]
    #: Webhooks per second.
    rate_limit: int | None
    records: FieldPath
    fields: Mapping[str, tuple[FieldPath, ...]]
    sys_id_pattern: IdPattern
    #: The incident's states: `values.state_key` → IEM state.
    states: Mapping[str, int]
    #: Other tables' states by `values.table_key`.
    tables: Mapping[str, Mapping[str, int]]
    unlisted_states: Literal["ignore", "reject"]
    dedupe: DedupeBlock
    iem: IemBlock
    retry: RetryBlock
    virima: VirimaBlock | None
    publish: PublishBlock | None
    tests: tuple[MappingTest, ...]
    #: SHA-256 of the file's text, its first 12 hex digits: which version of the mapping this is.
    digest: str
