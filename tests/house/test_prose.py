"""The check of the English finds each word of its list, in text and in names, and honours its exceptions."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from docs.markdown import ROOT


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    """The script, which is not part of any package."""
    spec = importlib.util.spec_from_file_location("prose", ROOT / ".ci" / "prose.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["prose"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "text",
    [
        "# It " + "tells the sender.",
        "def test_what_was_" + "told_is_kept() -> None:",
        "The value is " + "none of these.",
        "if it is " + "no number:",
        "_" + "MOST_BYTES = 3",
        "an_" + "id = new_id()",
        "See DESIGN " + "section 4.",
    ],
)
def test_a_word_of_the_list_is_found_with_its_line(prose: ModuleType, text: str) -> None:
    found = list(prose.read_words().findings("relay/any.py", f"first line\n{text}\n"))

    assert len(found) == 1
    assert found[0].startswith("relay/any.py:2: ")


@pytest.mark.parametrize(
    "text",
    ["if found is None:", "There is no such file.", "It is no longer there.", "most people", "paid = 1", "stolen"],
)
def test_other_text_is_not_found(prose: ModuleType, text: str) -> None:
    assert list(prose.read_words().findings("relay/any.py", text)) == []


def test_every_exception_is_needed(prose: ModuleType) -> None:
    words = prose.read_words()
    strict = prose.Words(words.words, ())

    for file, pattern in words.exceptions:
        word = next(word for word in words.words if word.source == pattern)
        lines = [line for path in ROOT.glob(file) for line in strict.findings(file, path.read_text("utf-8"))]
        assert any(line.endswith(f"write {word.instead}") for line in lines), (file, pattern)


def test_an_exception_needs_a_reason(prose: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "prose.toml"
    path.write_text(
        "[[word]]\npattern = 'x'\ninstead = 'y'\n[[exception]]\nfile = 'a.py'\npattern = 'x'\nreason = ''\n", "utf-8"
    )

    with pytest.raises(ValueError, match="needs a reason"):
        prose.read_words(path)
