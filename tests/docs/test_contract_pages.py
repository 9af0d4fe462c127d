"""The contract pages name the paths and fields that the clients use."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode

import pytest
from docs.markdown import blocks, code, section
from marshmallow import Schema

from relay.iem.publish_bodies import PATHS, AdaptorHealth, Entity, Event, Service
from relay.virima.login_schemas import (
    SECRETS,
    ClientSchema,
    CredentialSchema,
    LocationSchema,
    ResetPasswordSchema,
    SetUpWizardSchema,
    UserDetailsSchema,
)

IEM = "docs/development/iem-contract.md"
VIRIMA = "docs/development/virima-contract.md"
SERVICENOW = "docs/development/servicenow-contract.md"


def names_of(schema: type[Schema]) -> set[str]:
    return {field.data_key or name for name, field in schema().fields.items()}


def test_the_iem_contract_has_the_paths_of_the_publish_service() -> None:
    assert set(PATHS.values()) <= set(code(section("Publish service", IEM)))


@pytest.mark.parametrize("body", [Event, AdaptorHealth, Entity, Service], ids=lambda body: body.__name__)
def test_the_iem_contract_has_the_fields_of_a_body(body: type) -> None:
    assert set(body.__annotations__) <= set(code(section("Publish service", IEM)))


@pytest.mark.parametrize(
    ("title", "schema"),
    [
        ("Credential", CredentialSchema),
        ("Credential", ClientSchema),
        ("Credential", LocationSchema),
        ("Calls", ResetPasswordSchema),
        ("Calls", SetUpWizardSchema),
        ("UserDetails", UserDetailsSchema),
    ],
)
def test_the_virima_contract_has_the_fields_of_a_body(title: str, schema: type[Schema]) -> None:
    assert names_of(schema) <= set(code(section(title, VIRIMA)))


def test_the_virima_contract_names_the_secrets_of_an_answer() -> None:
    secrets = set(code(section("Secrets", VIRIMA)))

    assert secrets
    assert secrets <= SECRETS


def test_the_payloads_of_the_servicenow_contract_are_json() -> None:
    (block,) = [block for block in blocks(section("Payloads", SERVICENOW)) if block.language == "json"]

    assert len([json.loads(line) for line in block.text.splitlines()]) == 5


def test_the_test_vector_of_the_servicenow_contract_is_correct() -> None:
    mac = hmac.new(b"sample_key", b"sample_data", hashlib.sha256)

    shown = code(section("The sender as an HTTP client", SERVICENOW))
    assert {"sample_key", "sample_data", mac.hexdigest(), b64encode(mac.digest()).decode()} <= set(shown)
