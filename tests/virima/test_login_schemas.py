"""The bodies match the specification, as the simulated Virima implements it."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from marshmallow import Schema

from relay.errors import RequestBodyError
from relay.simulators.exchange import SimulatorRequest
from relay.simulators.shape import Check, checked_body
from relay.simulators.virima_bodies import (
    LOGIN_CREDENTIAL,
    RESET_PASSWORD,
    SET_UP_WIZARD,
    USER_CREDENTIAL,
    USER_DETAILS,
)
from relay.virima.login_schemas import (
    ClientSchema,
    CredentialSchema,
    LocationSchema,
    LoginCredentialSchema,
    ResetPasswordSchema,
    SetUpWizardSchema,
    UserDetailsSchema,
    attribute_of,
    request_body,
)
from relay.virima.results import UserDetails

SECRETS = {"password", "sessionId", "twoFactorSecretKey"}
FLAGS_AND_NUMBERS = (
    "state addedOn currentStateTime archive customerId noOfAssetsDiscovered proxy agentScanEnabled "
    "agentAutoUpdateThroughAppEnabled autoUpdateApp lastStatusUpdate liveConnectionServerSSL"
)


def full_credential() -> dict[str, object]:
    names = ClientSchema().fields.keys() - {"location"}
    client: dict[str, object] = {name: 1 if name in FLAGS_AND_NUMBERS.split() else "x" for name in names}
    client["location"] = dict.fromkeys(LocationSchema().fields, "x")
    texts = dict.fromkeys(["email", "password", "demoUser", "customerId", "clientName", "oldSessionId"], "x")
    return {**texts, "enableMFA": True, "client": client}


def test_user_details_has_all_specified_fields_except_secrets() -> None:
    names = {field.data_key or name for name, field in UserDetailsSchema().fields.items()}

    assert names == USER_DETAILS.keys() - SECRETS
    assert {attribute_of(name) for name in names} == {field.name for field in fields(UserDetails)}


def test_the_simulated_virima_accepts_full_bodies() -> None:
    reset: dict[str, object] = {"email": "x", "instance": "x", "password": "x", "directPasswordChange": False}
    wizard: dict[str, object] = {"email": "x", "password": "x", "wizardJson": "{}"}
    bodies: list[tuple[type[Schema], dict[str, object], Check]] = [
        (CredentialSchema, full_credential(), USER_CREDENTIAL),
        (LoginCredentialSchema, full_credential(), LOGIN_CREDENTIAL),
        (ResetPasswordSchema, reset, RESET_PASSWORD),
        (SetUpWizardSchema, wizard, SET_UP_WIZARD),
    ]

    for schema, content, check in bodies:
        body = request_body(schema, content)
        request = SimulatorRequest("POST", "/", {"content-type": "application/json"}, body)
        assert checked_body(request, check) == content


def test_members_without_a_value_are_left_out() -> None:
    assert json.loads(request_body(CredentialSchema, {"email": "x", "client": None})) == {"email": "x"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"email": " "}, "email: expected text that is not blank"),
        ({"password": 1}, "password: expected text that is not blank"),
        ({"enableMFA": "s3cret-value"}, "enableMFA: expected true or false"),
        ({"customerId": 5}, "customerId: expected text"),
        ({"remember": "s3cret-value"}, "remember is unknown"),
        ({"client": {"proxy": "s3cret-value"}}, "client.proxy: expected true, false or a number"),
        ({"client": {"location": {"street": "s3cret-value"}}}, "client.location.street is unknown"),
    ],
)
def test_a_refused_body_is_described_without_its_values(change: dict[str, object], problem: str) -> None:
    with pytest.raises(RequestBodyError) as raised:
        request_body(LoginCredentialSchema, {"email": "e", "password": "s3cret-value", **change})

    assert str(raised.value) == f"not a Credential of Virima's specification: {problem}"
    assert raised.value.__context__ is None
