"""The mapping file reference has every key of the schema with its default, and no other. Mapping files on pages are valid."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from docs.markdown import Table, code, read_text, section, tables
from docs.site_mappings import REFERENCE, parts, shortest_file, whole_files
from marshmallow import Schema, fields

from relay.core.integration import SOURCES
from relay.core.mapping_blocks import TableBlock
from relay.mapping_files.key_reference import update_page
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.schema import AUTH_SCHEMAS, BlockSchema, MappingSchema, schema_of
from relay.mapping_files.sources import load_presets

HEADER = ("key", "value", "default", "meaning")
#: Keys whose value a separate marshmallow schema reads, below a place that no schema names.
BELOW = {"tables": ("tables.<table>.", schema_of(TableBlock)())}


def keys_of(schema: Schema, prefix: str = "") -> Iterator[tuple[str, fields.Field[Any]]]:
    """Yield the keys of a schema and of those below it, spelt as on the page."""
    for name, field in schema.fields.items():
        key = prefix + (field.data_key or name)
        yield key, field
        if isinstance(field, fields.Nested):
            yield from keys_of(field.schema, f"{key}.")
        elif isinstance(field, fields.List) and isinstance(field.inner, fields.Nested):
            yield from keys_of(field.inner.schema, f"{key}[].")
        elif key in BELOW:
            below, nested = BELOW[key]
            yield from keys_of(nested, below)


def documented_tables() -> list[Table]:
    return [table for table in tables(read_text(REFERENCE)) if table.header == HEADER]


def documented_keys() -> dict[str, str]:
    """Return the documented default of each key, except the items of `auth`, which have separate tables."""
    return {
        code(key)[0]: default
        for table in documented_tables()
        for key, _, default, _ in table.rows
        if not key.startswith("`auth[]")
    }


def documented_auth() -> dict[str, dict[str, str]]:
    """Return the documented keys and their defaults for each type of authentication."""
    found = [table for table in documented_tables() if table.rows[0][0] == "`auth[].type`"]
    return {code(table.rows[0][1])[0]: {code(key)[0]: default for key, _, default, _ in table.rows} for table in found}


def is_default(shown: str, key: str, field: fields.Field[Any]) -> bool:
    """Return whether `shown` is the default of `field`."""
    if key in load_presets()[SOURCES[0]] or key.startswith("fields."):
        return shown == "from the source"
    if field.required:
        return shown == "required"
    default = default_of(field)
    match shown:
        case "none":
            return default in (None, "", (), {})
        case "see its keys":
            return bool(default == type(default)())
        case _:
            is_same: bool = field.deserialize(shown) == default
            return is_same


def default_of(field: fields.Field[Any]) -> Any:
    """Return the value that the relay uses if a mapping file does not have the key."""
    assert isinstance(field.parent, BlockSchema)
    (declared,) = (each for each in dataclasses.fields(field.parent.block) if each.name == field.name)
    return declared.default if declared.default_factory is dataclasses.MISSING else declared.default_factory()


def test_the_tables_of_keys_are_generated_from_the_declarations() -> None:
    page = read_text(REFERENCE)

    assert update_page(page) == page, "run `make generated`"


def test_the_reference_has_every_key_and_no_other() -> None:
    assert set(documented_keys()) == {key for key, _ in keys_of(MappingSchema())}


@pytest.mark.parametrize("name", AUTH_SCHEMAS)
def test_the_reference_has_every_key_of_each_authentication_and_no_other(name: str) -> None:
    assert set(documented_auth()[name]) == {key for key, _ in keys_of(AUTH_SCHEMAS[name], "auth[].")}


def test_the_reference_has_every_authentication_and_no_other() -> None:
    assert set(documented_auth()) == set(AUTH_SCHEMAS)


@pytest.mark.parametrize(("key", "field"), [pytest.param(*pair, id=pair[0]) for pair in keys_of(MappingSchema())])
def test_the_default_of_a_key_is_the_documented_one(key: str, field: fields.Field[Any]) -> None:
    assert is_default(documented_keys()[key], key, field)


@pytest.mark.parametrize("name", AUTH_SCHEMAS)
def test_the_defaults_of_an_authentication_are_the_documented_ones(name: str) -> None:
    documented = documented_auth()[name]

    assert [
        key for key, field in keys_of(AUTH_SCHEMAS[name], "auth[].") if not is_default(documented[key], key, field)
    ] == []


def test_every_key_has_a_meaning() -> None:
    assert [
        key for table in documented_tables() for key, value, _, meaning in table.rows if not (value and meaning)
    ] == []


def test_what_each_source_sets_is_documented() -> None:
    (table,) = tables(section("What the source sets", REFERENCE))
    documented = {code(row[0])[0]: row[1:] for row in table.rows}
    records = {"`result`, else `@`": "result || @"}

    assert [code(cell)[0] for cell in table.header[1:]] == list(SOURCES)
    for column, source in enumerate(SOURCES):
        preset = load_presets()[source]
        assert records[documented["records"][column]] == preset["records"]
        assert code(documented["sys_id_pattern"][column]) == [preset["sys_id_pattern"]]
        assert code(documented["states"][column]) == [f"{itsm}: {iem}" for itsm, iem in preset["states"].items()]
        for key, cells in documented.items():
            if key.startswith("fields."):
                paths = preset["fields"].get(key.removeprefix("fields."), [])
                assert code(cells[column]) == (paths if isinstance(paths, list) else [paths])


@pytest.mark.parametrize("text", whole_files())
def test_a_mapping_file_on_a_page_has_no_fault(text: str) -> None:
    assert parse_mapping_file("acme", text, load_presets()).faults == ()


@pytest.mark.parametrize("text", parts())
def test_a_part_of_a_mapping_file_on_a_page_has_no_fault(text: str) -> None:
    assert parse_mapping_file("acme", shortest_file() + text, load_presets()).faults == ()


def test_the_pages_show_mapping_files_of_both_sources() -> None:
    assert {text.splitlines()[0] for text in whole_files()} == {f"source: {source}" for source in SOURCES}
