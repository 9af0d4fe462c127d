"""The marshmallow schema of a mapping file, built from the keys that `relay.core.integration` declares.

It reads the strings of a `document`, with the source's preset merged in. A block becomes its dataclass; `parser` makes the
`Integration`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validates_schema

from relay.core.authentication import AUTHENTICATION_TYPES, Authentication, authentication_meaning
from relay.core.integration import Integration
from relay.core.mapping_blocks import Expectation, RecordPaths, RetryBlock, TableBlock
from relay.core.mapping_key import AnyKind, Block, Choice, Duration, Key, Kind, ListOf, Presence, Range, keys_of
from relay.core.values import table_key
from relay.mapping_files.reader_field import ReaderField, Shape, read_each, shape_of, shaped
from relay.mapping_files.reference_readers import read_secret, read_secrets, read_text_or_reference, read_url
from relay.mapping_files.unknown_keys import explain_unknown
from relay.mapping_files.value_readers import (
    any_case,
    choice,
    duration,
    integer,
    read_any,
    read_boolean,
    read_http_name,
    read_integer,
    read_networks,
    read_path,
    read_paths,
    read_pattern,
    read_states,
    read_text,
    read_true,
)

_NOT_A_BLOCK = "expected keys and values (key: value), indented below"
_UNKNOWN = "unknown key"
#: Blocks that remain a mapping of the keys that are set.
_MAPPINGS = (Integration, RecordPaths)

#: The two kinds that consist of blocks are added below.
_READERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: read_text,
    Kind.TEXT_OR_REFERENCE: read_text_or_reference,
    Kind.URL: read_url,
    Kind.SECRET: read_secret,
    Kind.SECRETS: read_secrets,
    Kind.FILE: read_text,
    Kind.HTTP_NAME: read_http_name,
    Kind.BOOLEAN: read_boolean,
    Kind.TRUE: read_true,
    Kind.INTEGER: read_integer,
    Kind.PATH: read_path,
    Kind.PATHS: read_paths,
    Kind.PATTERN: read_pattern,
    Kind.NETWORKS: read_networks,
    Kind.STATES: read_states,
    Kind.ANY: read_any,
}


class BlockSchema(Schema):
    """The keys of one block; unknown keys are errors that name the intended key."""

    class Meta:
        unknown = RAISE

    error_messages = {"type": _NOT_A_BLOCK, "unknown": _UNKNOWN}  # noqa: RUF012 - marshmallow's own way to set it
    #: The dataclass that declares the keys.
    block: ClassVar[type[Any]]

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **_kwargs: Any) -> None:  # noqa: ARG002
        """Name the key that was probably intended for each unknown key. marshmallow calls this before it raises `error`."""
        messages = error.messages
        for key, found in messages.items() if isinstance(messages, dict) else ():
            if isinstance(found, list):
                known = key_names(self)
                messages[key] = [explain_unknown(key, known) if message == _UNKNOWN else message for message in found]

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _check_together(self, data: dict[str, Any], original: Any, **_kwargs: Any) -> None:
        if isinstance(original, dict) and (check := _CHECKS.get(self.block)):
            check(data, original)

    @post_load
    def _build(self, data: dict[str, Any], **_kwargs: Any) -> Any:
        if self.block in _MAPPINGS:
            return data
        names = {field.name for field, _ in keys_of(self.block)}
        return self.block(**{name: value for name, value in data.items() if name in names})


def key_names(schema: Schema) -> dict[str, fields.Field[Any]]:
    """Return the fields of a schema by their keys in a mapping file."""
    return {field.data_key or name: field for name, field in schema.fields.items()}


def reader_of(kind: AnyKind) -> Callable[[Any], Any]:
    """Return the reader of a value that is not a block."""
    match kind:
        case Choice(words):
            return choice(*words)
        case Duration(minimum, maximum):
            return duration(minimum, maximum)
        case Range(minimum, maximum):
            return integer(minimum, maximum)
        case Kind():
            return _READERS[kind]
        case Block() | ListOf():
            raise AssertionError(kind)


def _check_retry_order(data: dict[str, Any], original: dict[str, Any]) -> None:
    if {"first", "most"} & (original.keys() - data.keys()):
        return  # one of the two has a fault already
    schedule = RetryBlock(**{name: data[name] for name in ("first", "most") if name in data})
    if schedule.first > schedule.most:
        raise ValidationError("must not be longer than `retry.most`", "first")


def _check_expectation(_data: dict[str, Any], original: dict[str, Any]) -> None:
    if len({"state", "ignored", "rejected"} & original.keys()) != 1:
        raise ValidationError("expected exactly one of `state: NUMBER`, `ignored: true`, `rejected: FIELD`")


#: Checks of several keys of a block together. Each function gets the values that were read, and the values in the file.
_CHECKS: Mapping[type[Any], Callable[[dict[str, Any], dict[str, Any]], None]] = {
    RetryBlock: _check_retry_order,
    Expectation: _check_expectation,
}
#: The same checks in JSON Schema, as far as it can express them.
_CONSTRAINTS: Mapping[type[Any], Shape] = {Expectation: {"minProperties": 1, "maxProperties": 1}}


def schema_of(block: type[Any]) -> type[BlockSchema]:
    """Return the schema of the keys that the dataclass `block` declares."""
    return _make_schema(block, {field.name: _field_of(key) for field, key in keys_of(block)})


def _make_schema(block: type[Any], made: Mapping[str, fields.Field[Any]]) -> type[BlockSchema]:
    schema = BlockSchema.from_dict(dict(made), name=f"{block.__name__}Schema")
    assert issubclass(schema, BlockSchema)
    schema.block = block
    return schema


def _field_of(key: Key) -> fields.Field[Any]:
    options: dict[str, Any] = {
        "required": key.default is Presence.REQUIRED,
        "allow_none": key.default in (None, "") or key.kind is Kind.ANY,
        "data_key": key.name,
        "metadata": _metadata_of(key),
    }
    match key.kind:
        case Block(block):
            return fields.Nested(schema_of(block), **options)
        case ListOf(block):
            return fields.List(fields.Nested(schema_of(block)), error_messages=_not_a_list(block), **options)
        case _:
            return ReaderField(reader_of(key.kind), **options)


def _metadata_of(key: Key) -> dict[str, Any]:
    """Return what JSON Schema says about a key, except the shape of its value."""
    bounds = f" ({key.kind.bounds})" if isinstance(key.kind, Duration | Range) else ""
    metadata: dict[str, Any] = {"description": key.meaning + bounds}
    if key.default is None or (isinstance(key.default, str | int | float) and key.default != ""):
        metadata["default"] = key.default
    if (example := _example_of(key)) is not None:
        metadata["examples"] = [example]
    if isinstance(key.kind, Block):
        metadata.update(_CONSTRAINTS.get(key.kind.keys, {}))
    return metadata


def _example_of(key: Key) -> Any:
    """Return an example of a key's value; of a block, its required keys, or its first key. None if its reader has an example."""
    match key:
        case Key(example=example) if example is not None:
            return example
        case Key(kind=Block(block)):
            return _example_of_block(block)
        case Key(kind=ListOf(block)):
            return [_example_of_block(block)]
        case Key(kind=Duration() | Range(), default=default):
            return default
        case _:
            return None


def _example_of_block(block: type[Any]) -> dict[str, Any]:
    keys = {key.name or field.name: key for field, key in keys_of(block)}
    wanted = [name for name, key in keys.items() if key.default is Presence.REQUIRED] or [next(iter(keys))]
    return {name: _example_of(keys[name]) or shape_of(reader_of(keys[name].kind))["examples"][0] for name in wanted}


def _not_a_list(block: type[Any]) -> dict[str, Any]:
    keys = ", ".join(key.name or field.name for field, key in keys_of(block))
    return {"invalid": f"expected a list, with the keys {keys} in each item"}


def _auth_schema(name: str, block: type[Authentication]) -> BlockSchema:
    metadata = {"description": authentication_meaning(block)}
    kind = ReaderField(choice(name), required=True, metadata=metadata)
    return _make_schema(block, {"type": kind, **schema_of(block)().declared_fields})()


AUTH_SCHEMAS: Mapping[str, BlockSchema] = {
    name: _auth_schema(name, block) for name, block in AUTHENTICATION_TYPES.items()
}
_AUTH_KEYS = frozenset(key for schema in AUTH_SCHEMAS.values() for key in key_names(schema))
_read_auth_type = choice(*AUTH_SCHEMAS)


@shaped(
    {
        "anyOf": [
            {"enum": ["none"]},
            {"type": "array", "minItems": 1, "items": {"oneOf": [*AUTH_SCHEMAS.values()]}},
        ]
    }
)
def _read_authentications(value: Any) -> tuple[Authentication, ...]:
    if value == "none":
        return ()
    if not isinstance(value, list) or not value:
        raise ValidationError("expected a list with at least one authentication method, or the word none")
    return read_each(value, _read_authentication)


def _read_authentication(item: Any) -> Authentication:
    if not isinstance(item, dict):
        raise ValidationError(_NOT_A_BLOCK)
    if "type" not in item:
        unknown: dict[str, Any] = {key: [explain_unknown(key, _AUTH_KEYS)] for key in item if key not in _AUTH_KEYS}
        raise ValidationError({**unknown, "_schema": [f"missing key 'type': one of {', '.join(AUTH_SCHEMAS)}"]})
    try:
        schema = AUTH_SCHEMAS[_read_auth_type(item["type"])]
    except ValidationError as error:
        raise ValidationError({"type": error.messages}) from None
    loaded: Authentication = schema.load(item)
    return loaded


_TABLE_SCHEMA = schema_of(TableBlock)()
#: Every spelling of `incident` that `table_key` accepts.
_INCIDENT = r"^[\s_]*" + r"[\s_]*".join(any_case(letter) for letter in "incident") + r"[\s_]*$"


@shaped(
    {
        "type": "object",
        "propertyNames": {"not": {"pattern": _INCIDENT}},
        "additionalProperties": _TABLE_SCHEMA,
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
                raise ValidationError("write the states of incidents in the top-level key `states`")
            tables[table_key(name)] = _TABLE_SCHEMA.load(table).states
        except ValidationError as error:
            errors[name] = error.messages
    if errors:
        raise ValidationError(errors)
    return tables


_READERS |= {Kind.AUTHENTICATIONS: _read_authentications, Kind.TABLES: _read_tables}
MappingSchema = schema_of(Integration)
