"""The marshmallow schemas of a mapping file: its keys, their defaults, and what admins are told about each.

They take the strings that `document` read, the source's preset merged in; `mapping_file` makes an `Integration` of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import INCLUDE, Schema, ValidationError, fields, post_load, validates_schema

from relay.core import integration as model
from relay.core.values import table_key
from relay.mapping_files.reading import Read, Shape, one_or_more, read_each, shape_of, shaped
from relay.mapping_files.reference_readers import read_secret, read_setting, read_url
from relay.mapping_files.unknown_keys import explain_unknown
from relay.mapping_files.value_readers import (
    choice,
    duration,
    integer,
    read_boolean,
    read_integer,
    read_network,
    read_path,
    read_pattern,
    read_states,
    read_text,
    read_token,
    read_true,
)

SOURCES = ("servicenow", "service-exchange")
_TYPE_ERROR = "expected keys and values here (key: value), indented below"

_read_paths = one_or_more(read_path, "path")
read_secrets = one_or_more(read_secret, "secret")
_read_timeout = duration("100ms", "60s")
_UP_TO_256 = r"^\+?0{0,12}([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-6])$"
#: Every spelling of `incident` that `table_key` takes.
_INCIDENT = r"^[\s_]*" + r"[\s_]*".join(f"[{one.upper()}{one}]" for one in "incident") + r"[\s_]*$"


class Strict(Schema):
    """A schema that knows all of its keys, and names the key that a misspelt one was meant to be."""

    class Meta:
        unknown = INCLUDE

    error_messages = {"type": _TYPE_ERROR}  # noqa: RUF012 - marshmallow's own way to set it
    #: What JSON Schema can tell of the keys together.
    constraints: ClassVar[Shape] = {}

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _refuse_unknown(self, _data: Any, original: Any, **_kwargs: Any) -> None:
        if not isinstance(original, dict):
            return
        known = {field.data_key or name for name, field in self.fields.items()}
        errors = {key: [explain_unknown(key, known)] for key in original if key not in known}
        if errors:
            raise ValidationError(errors)

    def known(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was loaded, without unknown keys (which are refused anyway)."""
        return {name: data[name] for name in self.fields}


class BasicAuthSchema(Strict):
    type = Read(choice("basic"), "user name and password (RFC 7617)", required=True)
    username = Read(read_text, "the user name that the sender gives", required=True, example="servicenow")
    password = Read(read_secret, "where the sender's password stands", required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> model.BasicAuth:
        return model.BasicAuth(data["username"], data["password"])


class HmacAuthSchema(Strict):
    type = Read(choice("hmac"), "a signature over the raw body", required=True)
    header = Read(read_token, "the header that carries the signature", required=True, example="X-Relay-Signature")
    algorithm = Read(choice("sha1", "sha256", "sha512"), "the hash of the HMAC", load_default="sha256")
    encoding = Read(choice("any", "hex", "base64"), "how the signature is written", load_default="any")
    secret = Read(read_secrets, "where the key stands; a list while keys are changed over", required=True)
    timestamp_header = Read(
        read_token,
        "the signed text is then <timestamp>.<body>; older than 5 minutes is refused",
        load_default=None,
        example="X-Relay-Timestamp",
    )

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> model.HmacAuth:
        names = ("header", "algorithm", "encoding", "secret", "timestamp_header")
        return model.HmacAuth(*(data[name] for name in names))


class HeaderAuthSchema(Strict):
    type = Read(choice("header"), "an API key in a header", required=True)
    header = Read(read_token, "the header that carries the key", required=True, example="X-API-Key")
    value = Read(read_secret, "where the key stands", required=True)
    scheme = Read(read_token, "the word before the key, such as Bearer", load_default=None, example="Bearer")

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> model.HeaderAuth:
        return model.HeaderAuth(data["header"], data["value"], data["scheme"])


class StandardWebhooksAuthSchema(Strict):
    type = Read(choice("standard-webhooks"), "webhook-id, webhook-timestamp, webhook-signature", required=True)
    secret = Read(read_secrets, "where the secret (whsec_…) stands; a list while changed over", required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> model.StandardWebhooksAuth:
        return model.StandardWebhooksAuth(data["secret"])


AUTH_SCHEMAS: Mapping[str, Schema] = {
    "basic": BasicAuthSchema(),
    "hmac": HmacAuthSchema(),
    "header": HeaderAuthSchema(),
    "standard-webhooks": StandardWebhooksAuthSchema(),
}
_AUTH_KEYS = frozenset(key for schema in AUTH_SCHEMAS.values() for key in schema.fields)
_read_auth_type = choice(*AUTH_SCHEMAS)


@shaped(
    {
        "anyOf": [
            {"const": "none"},
            {"type": "array", "minItems": 1, "items": {"oneOf": [*AUTH_SCHEMAS.values()]}},
        ],
        "examples": [[{"type": "basic", "username": "servicenow", "password": {"env": "ACME_WEBHOOK_PASSWORD"}}]],
    }
)
def _read_auths(value: Any) -> tuple[model.Authentication, ...]:
    if value == "none":
        return ()
    if not isinstance(value, list) or not value:
        raise ValidationError("expected a list with at least one way to authenticate, or the word none")
    return read_each(value, _read_auth)


def _read_auth(item: Any) -> model.Authentication:
    if not isinstance(item, dict):
        raise ValidationError(_TYPE_ERROR)
    if "type" not in item:
        unknown: dict[str, Any] = {key: [explain_unknown(key, _AUTH_KEYS)] for key in item if key not in _AUTH_KEYS}
        raise ValidationError({**unknown, "_schema": [f"missing key 'type': one of {', '.join(AUTH_SCHEMAS)}"]})
    try:
        schema = AUTH_SCHEMAS[_read_auth_type(item["type"])]
    except ValidationError as error:
        raise ValidationError({"type": error.messages}) from None
    loaded: model.Authentication = schema.load(item)
    return loaded


_NETWORK = shape_of(read_network)


@shaped({"anyOf": [_NETWORK, {"type": "array", "items": _NETWORK, "minItems": 1}], "examples": [["10.0.0.0/8"]]})
def _read_networks(value: Any) -> Any:
    if value == []:
        raise ValidationError("an empty list would let nobody in: leave the key out to let any address in")
    return read_each(value if isinstance(value, list) else [value], read_network)


class FieldsSchema(Strict):
    sys_id = Read(_read_paths, "the ticket's id", example="sys_id")
    state = Read(_read_paths, "the ticket's state", example=["state", "incident_state"])
    table = Read(_read_paths, "the table that the record is of", example="sys_class_name")
    number = Read(_read_paths, "the ticket's number, for people", example="number")
    version = Read(_read_paths, "a number that grows with every update: orders them", example="sys_mod_count")
    updated_at = Read(
        _read_paths, "when the ticket was updated, UTC: orders updates that have no version", example="sys_updated_on"
    )
    resolved_by = Read(_read_paths, "who resolved it: an email address", example=["resolved_by.email", "resolved_by"])


class TableSchema(Strict):
    states = Read(read_states, "this table's states → IEM states", required=True)


@shaped(
    {
        "type": "object",
        "propertyNames": {"not": {"pattern": _INCIDENT}},
        "additionalProperties": TableSchema(),
        "examples": [{"problem": {"states": {"106": 6, "107": 6}}}],
    }
)
def _read_tables(value: Any) -> Mapping[str, Mapping[str, int]]:
    if not isinstance(value, dict):
        raise ValidationError("expected tables, such as `problem: {states: {106: 6}}`")
    tables, errors = {}, {}
    for name, table in value.items():
        try:
            if table_key(name) == "incident":
                raise ValidationError("the incident's states stand in `states` at the top")
            tables[table_key(name)] = TableSchema().load(table)["states"]
        except ValidationError as error:
            errors[name] = error.messages
    if errors:
        raise ValidationError(errors)
    return tables


class DedupeSchema(Strict):
    window = Read(duration("1s", "30d"), "how long a repeated update is known", load_default=86400.0)
    collapse = Read(read_boolean, "Resolved, then Closed, both mapped to one IEM state: one push", load_default=True)

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> model.DedupeBlock:
        return model.DedupeBlock(**self.known(data))


class IemSchema(Strict):
    url = Read(read_url, "the organisation's Hosted_API of IEM", required=True, example="https://iem.example.com")
    customer_id = Read(read_text, "the customer id in IEM", required=True, example="ACME")
    integration_id = Read(read_text, "the integration id in IEM", required=True, example="42")
    auth = Read(choice("token", "basic"), "by token (cached), or by basic authentication", load_default="token")
    username = Read(read_setting, "the API user", required=True, example="relay-api@example.com")
    password = Read(read_secret, "where the API user's password stands", required=True)
    timeout = Read(_read_timeout, "how long one call may take", load_default=10.0)
    max_in_flight = Read(integer(1, 256, _UP_TO_256), "pushes at once, per worker process", load_default=8)
    ca_file = Read(
        read_text,
        "certificates (PEM) of a private CA",
        load_default=None,
        allow_none=True,
        example="/etc/ssl/private-ca.pem",
    )

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> model.IemBlock:
        return model.IemBlock(**self.known(data))


class RetrySchema(Strict):
    first = Read(duration("10ms", "1h"), "wait before the first retry", load_default=5.0)
    most = Read(duration("10ms", "24h"), "longest wait between retries", load_default=600.0)
    give_up_after = Read(duration("1s", "90d"), "then it is a dead letter", load_default=172800.0)

    @validates_schema
    def _check_order(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if data["first"] > data["most"]:
            raise ValidationError("is longer than `most`: the first wait is the shortest", "first")

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> model.RetryBlock:
        return model.RetryBlock(**self.known(data))


class VirimaSchema(Strict):
    url = Read(read_url, "the installation's base URL", required=True, example="https://login.virima.com/www_em/")
    username = Read(read_setting, "the service account", required=True, example={"env": "VIRIMA_USERNAME"})
    password = Read(read_secret, "where the service account's password stands", required=True)
    lookup = Read(choice("impersonate", "session"), "how resolvers are looked up", required=True)
    cache = Read(duration("1s", "30d"), "how long a user is remembered", load_default=3600.0)
    timeout = Read(_read_timeout, "how long one call may take", load_default=10.0)
    ca_file = Read(
        read_text,
        "certificates (PEM) of a private CA",
        load_default=None,
        allow_none=True,
        example="/etc/ssl/private-ca.pem",
    )

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> model.VirimaBlock:
        return model.VirimaBlock(**self.known(data))


class PublishSchema(Strict):
    heartbeat = Read(duration("10s", "1d"), "how often adaptor health is told", load_default=None, example="5m")
    metrics = Read(duration("10s", "1d"), "how often metrics are told", load_default=None, example="5m")
    events = Read(read_boolean, "tell when the integration is parked or a delivery dies", load_default=False)
    topology = Read(read_boolean, "tell the relay as an entity and a service", load_default=False)
    backlog_age = Read(
        duration("1m", "7d"),
        "an older pending delivery is told: Amber, and an event",
        load_default=900.0,
        example="15m",
    )

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> model.PublishBlock:
        return model.PublishBlock(**self.known(data))


class ExpectSchema(Strict):
    constraints: ClassVar[Shape] = {"minProperties": 1, "maxProperties": 1}

    # With `allow_none` a key without a value would be none, and two keys would be one.
    state = Read(read_integer, "relayed with this IEM state", load_default=None, allow_none=False, example=6)
    ignored = Read(read_true, "not relayed", load_default=None, allow_none=False)
    rejected = Read(choice("sys_id", "state", "records"), "refused for this field", load_default=None, allow_none=False)

    @validates_schema
    def _check_one(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if sum(data.get(key) is not None for key in ("state", "ignored", "rejected")) != 1:
            raise ValidationError("expected one of `state: NUMBER`, `ignored: true`, `rejected: FIELD`")


@shaped({})
def _take_anything(value: Any) -> Any:
    return value


class MappingTestSchema(Strict):
    name = Read(read_text, "what the example shows", required=True, example="a resolved incident is relayed")
    payload = Read(
        _take_anything,
        "a webhook's body",
        required=True,
        allow_none=True,
        example={"sys_id": "9d385017c611228701d22104cc95c371", "state": "6"},
    )
    expect = fields.Nested(ExpectSchema, required=True, metadata={"description": "what it must come to"})

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> model.MappingTest:
        expect = data["expect"]
        ignored = bool(expect["ignored"])
        return model.MappingTest(data["name"], data["payload"], expect["state"], ignored, expect["rejected"])


def _nested(schema: type[Schema], description: str, **options: Any) -> fields.Nested:
    return fields.Nested(schema, metadata={"description": description}, **options)


class MappingSchema(Strict):
    """A whole mapping file, its source's preset merged in."""

    source = Read(choice(*SOURCES), "who sends: sets the defaults of fields and states", required=True)
    enabled = Read(read_boolean, "false: its webhooks are answered 404 and its deliveries wait", load_default=True)
    description = Read(read_text, "for people", load_default="", allow_none=True, example="ACME production")
    auth = Read(_read_auths, "who may post: any one of the list suffices", required=True)
    allow_from = Read(_read_networks, "addresses that may post; without it any", load_default=())
    rate_limit = Read(
        integer(1, 10_000, r"[0-9]{1,5}"),
        "webhooks per second, over all web processes; beyond it 429",
        load_default=None,
        allow_none=True,
        example=50,
    )
    records = Read(read_path, "JMESPath to the record or the list of records", required=True, example="result || @")
    fields_ = _nested(FieldsSchema, "where each field stands in a record", data_key="fields", required=True)
    sys_id_pattern = Read(read_pattern, "what a ticket id looks like", required=True)
    states = Read(read_states, "ITSM state → IEM state; replaces the preset's", required=True)
    tables = Read(_read_tables, "other tables' states", load_default=dict)
    unlisted_states = Read(choice("ignore", "reject"), "what to do with other states", load_default="ignore")
    dedupe = _nested(DedupeSchema, "when two updates are one", load_default=lambda: DedupeSchema().load({}))
    iem = _nested(IemSchema, "where the updates go", required=True)
    retry = _nested(RetrySchema, "when IEM does not take it", load_default=lambda: RetrySchema().load({}))
    virima = _nested(VirimaSchema, "who resolved it, for the audit trail", load_default=None)
    publish = _nested(PublishSchema, "what the relay tells IEM of itself", load_default=None)
    tests = fields.List(
        fields.Nested(MappingTestSchema),
        metadata={"description": "examples that must come out as told"},
        load_default=list,
        error_messages={"invalid": "expected a list of examples, each with a name, a payload and what to expect"},
    )
