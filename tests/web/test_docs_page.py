"""`GET /docs` shows everything, loads nothing and escapes all text. It is served like `/openapi.json`."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from html.parser import HTMLParser

import pytest
import requests
from harness import Relay
from markupsafe import escape
from web.openapi_document import document, operations

from relay.web.openapi.docs_page import render

DOCUMENTS = ("/openapi.json", "/docs")


class Tags(HTMLParser):
    """The tags of a page. Fails if a tag is closed that is not open."""

    EMPTY = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def attributes(self, name: str) -> list[str]:
        """Return the values of an attribute of all tags."""
        return [value for _, attributes in self.found if (value := attributes.get(name)) is not None]


@pytest.fixture
def page(web: Relay) -> requests.Response:
    return requests.get(f"{web.url}/docs", timeout=5)


def test_the_page_shows_every_operation_path_and_schema(page: requests.Response) -> None:
    ids = set(Tags(page.text).attributes("id"))

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    for path, _, operation in operations():
        assert operation["operationId"] in ids
        assert f"<code>{path}</code>" in page.text
        assert escape(operation["summary"]) in page.text
    assert {f"schema-{name}" for name in document()["components"]["schemas"]} <= ids


def test_the_page_loads_nothing_and_has_no_dead_links(page: requests.Response) -> None:
    tags = Tags(page.text)
    ids = tags.attributes("id")
    links = tags.attributes("href")

    assert tags.open == []
    assert len(ids) == len(set(ids))
    assert {link for link in links if not link.startswith("#")} == {"/openapi.json"}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert {tag for tag, _ in tags.found} & {"script", "link", "img", "iframe", "object", "form", "base"} == set()
    assert tags.attributes("src") == tags.attributes("style") == []
    style = page.text.partition("<style>")[2].partition("</style>")[0]
    assert not re.search(r"@import|url\(", style)
    assert "prefers-color-scheme: dark" in style
    assert "width=device-width" in page.text


def test_the_policy_allows_the_style_and_nothing_else(page: requests.Response) -> None:
    style = page.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == f"'sha256-{digest}'"
    assert set(policy) >= {"base-uri", "form-action", "frame-ancestors"}
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_all_text_of_the_document_is_escaped() -> None:
    nasty = "<script>alert(1)</script> & `<b>\"'`"
    hostile = copy.deepcopy(document())
    hostile["info"]["description"] = hostile["info"]["title"] = nasty
    operation = hostile["paths"]["/livez"]["get"]
    operation |= {"summary": nasty, "description": nasty}
    operation["responses"]["200"]["content"]["application/json"]["examples"][nasty] = {"value": {nasty: nasty}}
    hostile["components"]["schemas"]["Alive"]["properties"][nasty] = {"enum": [nasty], "description": nasty}

    tags = {tag for tag, _ in Tags(render(hostile, "")).found}

    assert tags == {tag for tag, _ in Tags(render(document(), "")).found}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_documents_need_no_credentials_and_answer_other_methods(web: Relay, path: str) -> None:
    url = f"{web.url}{path}"

    whole, head, options = (requests.request(method, url, timeout=5) for method in ("GET", "HEAD", "OPTIONS"))
    refused = requests.post(url, timeout=5)

    assert (whole.status_code, head.status_code, options.status_code, refused.status_code) == (200, 200, 200, 405)
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(whole.content)))
    assert set(options.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "GET" in refused.headers["Allow"]
    assert requests.get(f"{url}/", timeout=5, allow_redirects=False).content == whole.content


def test_the_served_document_is_the_tested_one(web: Relay) -> None:
    answer = requests.get(f"{web.url}/openapi.json", timeout=5)

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == document()
