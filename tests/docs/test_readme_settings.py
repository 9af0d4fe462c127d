"""The README's table of settings is the code's."""

from __future__ import annotations

from dataclasses import fields

from docs.markdown import code, section, tables

from relay.settings import FROM_FILE, Settings


def test_the_settings_table_has_each_setting_with_its_default_and_meaning_and_no_other() -> None:
    documented, *_ = tables(section("Settings"))

    assert documented.header == ("name", "default", "meaning")
    assert list(documented.rows) == [
        (f"`{one.metadata['name']}`", _shown(one.metadata["default"]), one.metadata["meaning"])
        for one in fields(Settings)
    ]


def test_settings_that_may_stand_in_a_file_are_named() -> None:
    named = {name for name in code(section("Settings")) if name.endswith("_FILE")}

    assert named == {f"{name}_FILE" for name in FROM_FILE}


def _shown(default: str | None) -> str:
    return "none" if default is None else f"`{default}`"
