"""The README's mapping reference has every key of the schemas, with its default, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from docs.markdown import Table, blocks, code, read_text, section, tables
from marshmallow import Schema, fields, missing

from relay.core.units import parse_duration
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.schema import AUTH_SCHEMAS, SOURCES, MappingSchema, TableSchema
from relay.mapping_files.sources import load_presets

HEADER = ("key", "default", "meaning")
#: Blocks that the README tells of key by key.
BLOCKS_WITH_DEFAULTS = {"dedupe", "retry"}
#: Keys whose value a marshmallow schema of its own reads, below a place that no schema names.
BELOW = {"tables": ("tables.<table>.", TableSchema())}


def keys_of(schema: Schema, prefix: str = "") -> Iterator[tuple[str, fields.Field[Any]]]:
    """Yield the keys of a schema and of those below it, in the README's spelling."""
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
    return [table for table in tables(section("Mapping reference")) if table.header == HEADER]


def documented_keys() -> dict[str, str]:
    """Key → default, but for the items of `auth`, which have tables of their own."""
    return {
        code(key)[0]: default
        for table in documented_tables()
        for key, default, _ in table.rows
        if not key.startswith("`auth[]")
    }


def documented_auth() -> dict[str, dict[str, str]]:
    """Type of authentication → its keys and their defaults."""
    found = [table for table in documented_tables() if table.rows[0][0] == "`auth[].type`"]
    return {code(table.rows[0][2])[0]: {code(key)[0]: default for key, default, _ in table.rows} for table in found}


def is_told(told: str, key: str, field: fields.Field[Any]) -> bool:
    """Tell whether `told` is the default of `field`."""
    if key in load_presets()[SOURCES[0]] or key.startswith("fields."):
        return told == "from the source"
    if field.required:
        return told == "required"
    default = field.load_default
    if key in BLOCKS_WITH_DEFAULTS:
        return told == "see its keys"
    if callable(default):
        default = default()
    match default:
        case bool():
            return told == ("true" if default else "false")
        case float():
            return parse_duration(told) == default
        case None | "" | () | [] | {}:
            return told == "none"
        case _ if default is missing:
            return told == "none"
        case _:
            return told == str(default)


def test_the_reference_has_every_key_and_no_other() -> None:
    assert set(documented_keys()) == {key for key, _ in keys_of(MappingSchema())}


@pytest.mark.parametrize("name", AUTH_SCHEMAS)
def test_the_reference_has_every_key_of_each_authentication_and_no_other(name: str) -> None:
    assert set(documented_auth()[name]) == {key for key, _ in keys_of(AUTH_SCHEMAS[name], "auth[].")}


def test_the_reference_has_every_authentication_and_no_other() -> None:
    assert set(documented_auth()) == set(AUTH_SCHEMAS)


@pytest.mark.parametrize(("key", "field"), [pytest.param(*pair, id=pair[0]) for pair in keys_of(MappingSchema())])
def test_the_default_of_a_key_is_the_documented_one(key: str, field: fields.Field[Any]) -> None:
    assert is_told(documented_keys()[key], key, field)


@pytest.mark.parametrize("name", AUTH_SCHEMAS)
def test_the_defaults_of_an_authentication_are_the_documented_ones(name: str) -> None:
    told = documented_auth()[name]

    assert [key for key, field in keys_of(AUTH_SCHEMAS[name], "auth[].") if not is_told(told[key], key, field)] == []


def test_every_key_has_a_meaning() -> None:
    assert [key for table in documented_tables() for key, _, meaning in table.rows if not meaning] == []


def test_what_each_source_sets_is_documented() -> None:
    (table,) = [one for one in tables(section("What the source sets")) if one.header[0] == "key"]
    told = {code(row[0])[0]: row[1:] for row in table.rows}
    records = {"`result`, else `@`": "result || @"}

    assert [code(cell)[0] for cell in table.header[1:]] == list(SOURCES)
    for column, source in enumerate(SOURCES):
        preset = load_presets()[source]
        assert records[told["records"][column]] == preset["records"]
        assert code(told["sys_id_pattern"][column]) == [preset["sys_id_pattern"]]
        assert code(told["states"][column]) == [f"{itsm}: {iem}" for itsm, iem in preset["states"].items()]
        for key, cells in told.items():
            if key.startswith("fields."):
                paths = preset["fields"].get(key.removeprefix("fields."), [])
                assert code(cells[column]) == (paths if isinstance(paths, list) else [paths])


WHOLE_FILES = [
    block.text
    for block in blocks(read_text())
    if block.language == "yaml" and re.search(r"^source:", block.text, re.MULTILINE)
]


@pytest.mark.parametrize("text", WHOLE_FILES)
def test_each_whole_mapping_file_in_the_readme_checks_clean(text: str) -> None:
    parsed = parse_mapping_file("readme", text, load_presets())

    assert parsed.faults == ()


def test_the_readme_shows_whole_mapping_files_of_both_sources() -> None:
    assert {text.splitlines()[0] for text in WHOLE_FILES} == {f"source: {source}" for source in SOURCES}


def test_every_yaml_block_of_the_readme_is_a_whole_file_or_a_block_of_one() -> None:
    parts = [block.text for block in blocks(read_text()) if block.language == "yaml"]

    assert [
        text for text in parts if text not in WHOLE_FILES and not text.startswith(("fields:\n", "publish:\n"))
    ] == []


def test_the_publish_block_is_good_in_a_file() -> None:
    [block] = [block.text for block in blocks(read_text()) if block.text.startswith("publish:\n")]

    parsed = parse_mapping_file("acme", WHOLE_FILES[0] + block, load_presets())

    assert parsed.faults == ()
    assert parsed.integration
    assert parsed.integration.publish
