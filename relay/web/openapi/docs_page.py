"""The HTML page of the OpenAPI document: rendered on the server, without scripts, loading nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup, escape

from relay.web.openapi.openapi_document import make_document

_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class DocsPage:
    """The page, and a Content-Security-Policy that allows its style sheet and nothing else."""

    html: str
    policy: str


@cache
def docs_page() -> DocsPage:
    """Return the page. It is rendered once per process."""
    style = _read("page.css")
    return DocsPage(render(make_document(), style), _policy_of(style))


def render(document: dict[str, Any], style: str) -> str:
    """Return `document` as HTML, with all of its text escaped."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "prose": _prose,
        "pretty": _pretty,
        "resolved": lambda part: resolve(document, part),
        "shape": shape_of,
        "name": lambda reference: reference.rsplit("/", 1)[-1],
    }
    template = environment.from_string(_read("page.html"))
    return template.render(document=document, style=style, operations=_by_tag(document))


def resolve(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the document, or the part that its `$ref` points to."""
    found = document
    if "$ref" not in part:
        return part
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def shape_of(schema: dict[str, Any]) -> Markup:
    """Return a schema in a few words, with links to the schemas that it refers to."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return Markup(" or ").join(shape_of(option) for option in schema[word])
    if "const" in schema:
        return Markup("<code>{}</code>").format(json.dumps(schema["const"]))
    if "enum" in schema:
        return Markup(" or ").join(Markup("<code>{}</code>").format(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return Markup("list of ({})").format(shape_of(schema["items"])) if "items" in schema else Markup("list")
    kinds = schema.get("type", [])
    kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
    return escape(" ".join(filter(None, [kind, schema.get("format")])) or "any value")


def _by_tag(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found[operation["tags"][0]].append({"path": path, "method": method.upper(), **operation})
    return found


def _prose(text: str) -> Markup:
    """Return the paragraphs of a text, with the parts in backticks as code."""
    return Markup("").join(Markup("<p>{}</p>").format(_with_code(paragraph)) for paragraph in text.split("\n\n"))


def _with_code(text: str) -> Markup:
    # Every second part is a match of the pattern's group.
    parts = enumerate(_CODE.split(text))
    return Markup("").join(Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in parts)


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _policy_of(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _read(name: str) -> str:
    return files("relay.web.openapi").joinpath(name).read_text("utf-8")
