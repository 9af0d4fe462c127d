"""The OpenAPI document by itself: it is valid, complete, and its examples are what its schemas say."""

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
    """The application in this process, to look at its routes."""
    environ = {"RELAY_REDIS_URL": redis_url, "RELAY_MAPPINGS": str(tmp_path)}
    redactor = Redactor()
    return create_app(Foundation(load_settings(environ), SecretReader(environ, redactor), redactor))


def examples(content: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    return [(told["schema"], resolve(one)["value"]) for told in content.values() for one in told["examples"].values()]


def test_the_document_is_valid_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_every_route_is_in_the_document_and_no_other(app: Flask) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        # The console is pages for people.
        if not rule.rule.startswith("/admin")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert {(path, method) for path, method, _ in operations()} == routes


def test_operations_have_ids_of_their_own() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("path", "method", "operation"), ALL)
def test_an_operation_tells_all_about_itself(path: str, method: str, operation: dict[str, Any]) -> None:
    named = {one["name"] for one in document()["tags"]}
    parameters = [resolve(one) for one in operation.get("parameters", [])]
    responses = operation["responses"]

    assert all(operation[name] for name in ("operationId", "summary", "description", "tags"))
    assert set(operation["tags"]) <= named
    assert set(re.findall(r"{(\w+)}", path)) == {one["name"] for one in parameters if one["in"] == "path"}
    assert any(status < "400" for status in responses)
    assert any("application/problem+json" in answer["content"] for answer in responses.values())
    for answer in responses.values():
        assert answer["description"]
        assert "X-Request-ID" in answer["headers"]
        assert all(told["examples"] for told in answer["content"].values())
    assert all("operator" in way for way in operation["security"]) or not path.startswith("/api/")
    assert ("requestBody" in operation) <= (method == "post")


@pytest.mark.parametrize(("path", "method", "operation"), ALL)
def test_examples_are_as_their_schemas_say(path: str, method: str, operation: dict[str, Any]) -> None:
    contents = [answer["content"] for answer in operation["responses"].values()]
    contents += [operation["requestBody"]["content"]] if "requestBody" in operation else []

    for content in contents:
        for schema, value in examples(content):
            assert faults(schema, value) == []


def test_the_webhook_has_every_status_of_the_contract() -> None:
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
    kinds = {str(one.example["type"]): one.example["title"] for one in PROBLEMS.values()}

    known = {f"urn:relay:problem:{kind}": title for kind, title in _TITLES.items()}
    assert {kind: title for kind, title in kinds.items() if kind in known} == known
    assert set(kinds) - set(known) == {
        "about:blank",
        *(f"urn:relay:problem:{kind}" for kind in ("conflict", "rate-limited", "too-many-refusals")),
    }


def test_every_schema_and_member_is_described() -> None:
    for name, schema in document()["components"]["schemas"].items():
        assert schema["description"], name
        assert [member for member, told in schema["properties"].items() if not told.get("description")] == []


def test_neither_the_commands_nor_the_application_load_apispec_before_somebody_asks() -> None:
    script = "import sys, relay.cli.main, relay.web.app; sys.exit('apispec' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
