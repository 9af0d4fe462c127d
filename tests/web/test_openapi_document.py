"""The OpenAPI document itself: it is valid and complete, and its examples match its schemas."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator
from web.openapi_document import document, faults, operations, resolve

from relay.core.redact import Redactor
from relay.foundation import Foundation
from relay.secrets import SecretReader
from relay.settings import load_settings
from relay.web.app import create_app
from relay.web.openapi.problem_specs import PROBLEMS
from relay.web.responses import _TITLES

ALL = [pytest.param(path, method, operation, id=f"{method} {path}") for path, method, operation in operations()]


@pytest.fixture
def app(redis_url: str, tmp_path: Path) -> Flask:
    """The application in this process, for its routes."""
    environ = {"RELAY_REDIS_URL": redis_url, "RELAY_MAPPINGS": str(tmp_path)}
    redactor = Redactor()
    return create_app(Foundation(load_settings(environ), SecretReader(environ, redactor), redactor))


def examples(content: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    return [
        (media["schema"], resolve(example)["value"])
        for media in content.values()
        for example in media["examples"].values()
    ]


def test_the_document_is_valid_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_the_document_has_exactly_the_routes_of_the_application(app: Flask) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        # The console is pages for people.
        if not rule.rule.startswith("/admin")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert {(path, method) for path, method, _ in operations()} == routes


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("path", "method", "operation"), ALL)
def test_an_operation_is_described_completely(path: str, method: str, operation: dict[str, Any]) -> None:
    named = {tag["name"] for tag in document()["tags"]}
    parameters = [resolve(parameter) for parameter in operation.get("parameters", [])]
    responses = operation["responses"]

    assert all(operation[name] for name in ("operationId", "summary", "description", "tags"))
    assert set(operation["tags"]) <= named
    assert set(re.findall(r"{(\w+)}", path)) == {
        parameter["name"] for parameter in parameters if parameter["in"] == "path"
    }
    assert any(status < "400" for status in responses)
    assert any("application/problem+json" in answer["content"] for answer in responses.values())
    for answer in responses.values():
        assert answer["description"]
        assert "X-Request-ID" in answer["headers"]
        assert all(media["examples"] for media in answer["content"].values())
    assert all("operator" in scheme for scheme in operation["security"]) or not path.startswith("/api/")
    assert ("requestBody" in operation) <= (method == "post")


@pytest.mark.parametrize(("path", "method", "operation"), ALL)
def test_examples_match_their_schemas(path: str, method: str, operation: dict[str, Any]) -> None:
    contents = [answer["content"] for answer in operation["responses"].values()]
    contents += [operation["requestBody"]["content"]] if "requestBody" in operation else []

    for content in contents:
        for schema, value in examples(content):
            assert faults(schema, value) == []


def test_a_webhook_has_all_statuses_of_the_webhook_api() -> None:
    responses = document()["paths"]["/webhooks/{name}"]["post"]["responses"]
    by_status = {status: set(answer["headers"]) for status, answer in responses.items()}

    assert set(by_status) == {
        "200",
        "202",
        "207",
        "400",
        "401",
        "403",
        "404",
        "408",
        "413",
        "415",
        "422",
        "429",
        "500",
        "503",
    }
    assert "WWW-Authenticate" in by_status["401"]
    assert "Retry-After" in by_status["429"] & by_status["503"]


def test_problems_have_the_titles_and_kinds_of_the_code() -> None:
    kinds = {str(spec.example["type"]): spec.example["title"] for spec in PROBLEMS.values()}

    known = {f"urn:relay:problem:{kind}": title for kind, title in _TITLES.items()}
    assert {kind: title for kind, title in kinds.items() if kind in known} == known
    assert set(kinds) - set(known) == {
        "about:blank",
        *(f"urn:relay:problem:{kind}" for kind in ("conflict", "rate-limited", "too-many-refusals")),
    }


def test_every_schema_and_member_is_described() -> None:
    for name, schema in document()["components"]["schemas"].items():
        assert schema["description"], name
        assert [name for name, member in schema["properties"].items() if not member.get("description")] == []


def test_apispec_is_not_imported_before_the_document_is_requested() -> None:
    script = "import sys, relay.cli.main, relay.web.app; sys.exit('apispec' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
