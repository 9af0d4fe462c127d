"""The page to read the document: made on the server of the document itself, without scripts, loading nothing."""

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
    """The page, and the Content-Security-Policy that lets its one style in and nothing else."""

    html: str
    policy: str


@cache
def docs_page() -> DocsPage:
    """Return the page, made once per process."""
    style = _read("page.css")
    return DocsPage(render(make_document(), style), _policy_of(style))


def render(document: dict[str, Any], style: str) -> str:
    """Return `document` as HTML. Whatever stands in it is escaped."""
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
    """Return a part of the document, or what its `$ref` leads to."""
    found = document
    if "$ref" not in part:
        return part
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def shape_of(schema: dict[str, Any]) -> Markup:
    """Return what a schema is, in a few words, with links to the schemas that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return Markup(" or ").join(shape_of(one) for one in schema[word])
    if "const" in schema:
        return Markup("<code>{}</code>").format(json.dumps(schema["const"]))
    if "enum" in schema:
        return Markup(" or ").join(Markup("<code>{}</code>").format(one) for one in schema["enum"])
    if schema.get("type") == "array":
        return Markup("list of ({})").format(shape_of(schema["items"])) if "items" in schema else Markup("list")
    kinds = schema.get("type", [])
    told = " or ".join(kinds) if isinstance(kinds, list) else kinds
    return escape(" ".join(filter(None, [told, schema.get("format")])) or "anything")


def _by_tag(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found[operation["tags"][0]].append({"path": path, "method": method.upper(), **operation})
    return found


def _prose(text: str) -> Markup:
    """Return text in paragraphs, with what stands between backticks as code."""
    return Markup("").join(Markup("<p>{}</p>").format(_with_code(one)) for one in text.split("\n\n"))


def _with_code(text: str) -> Markup:
    # Every other part is what the pattern's group matched.
    parts = enumerate(_CODE.split(text))
    return Markup("").join(Markup("<code>{}</code>").format(part) if which % 2 else part for which, part in parts)


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _policy_of(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _read(name: str) -> str:
    return files("relay.web.openapi").joinpath(name).read_text("utf-8")
