"""Links outside the site lead to files and headings that exist; `make docs` checks those inside it."""

from __future__ import annotations

import re
import subprocess

import pytest
from docs.markdown import PAGES, ROOT, blocks, headings, read_text

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]


def anchors_of(path: str) -> set[str]:
    """Return the anchors of the headings, as GitHub and the site make them."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings(read_text(path))}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_existing_files_and_headings(document: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", read_text(document)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / document).parent / path if path else ROOT / document
        assert file.exists(), target
        assert not anchor or anchor in anchors_of(str(file.relative_to(ROOT))), target


def test_code_and_examples_name_pages_that_exist() -> None:
    command = ["git", "grep", "--no-index", "--exclude-standard", "-hoE", r"\bdocs/[a-z-]+(/[a-z-]+)*\.md\b"]

    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

    assert [page for page in sorted(set(found)) if not (ROOT / page).is_file()] == []


def test_no_page_has_a_diagram_that_the_theme_would_load_code_for() -> None:
    assert [page for page in PAGES for block in blocks(read_text(page)) if block.language == "mermaid"] == []
