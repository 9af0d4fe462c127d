"""The tables of docs/operating/settings.md list the settings of the code."""

from __future__ import annotations

from dataclasses import fields

from docs.markdown import code, read_text, section, tables

from relay.settings import FROM_FILE, Settings

PAGE = "docs/operating/settings.md"


def test_the_page_has_each_setting_with_its_default_and_meaning_and_no_other() -> None:
    documented = [table for table in tables(read_text(PAGE)) if table.header == ("name", "default", "meaning")]

    rows = [row for table in documented for row in table.rows]
    assert sorted(rows) == sorted(
        (f"`{setting.metadata['name']}`", _shown(setting.metadata["default"]), setting.metadata["meaning"])
        for setting in fields(Settings)
    )


def test_settings_that_can_be_read_from_a_file_are_named() -> None:
    named = {name for name in code(section("Secrets in files", PAGE)) if name.endswith("_FILE")}

    assert named == {f"{name}_FILE" for name in FROM_FILE}


def _shown(default: str | None) -> str:
    return "none" if default is None else f"`{default}`"
