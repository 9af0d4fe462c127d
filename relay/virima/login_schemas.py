"""The bodies of Virima's LoginService: each field with the name and the type of the specification.

Requests are strict: an unknown field or a wrong type is an error of the relay. Answers are lenient: unknown fields are
ignored and other types are converted if possible, so that the type of a phone number cannot make a lookup fail. The
secrets of UserDetails are not declared, so no object contains them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load

from relay.core.schema_problems import describe_problems
from relay.core.value_field import ValueField
from relay.errors import RequestBodyError
from relay.virima.body_readers import expect, read_filled, read_flag, read_id, read_text
from relay.virima.results import Response, TransactionMessage, UserDetails

#: Secret members, at any depth: they are dropped while an answer is parsed.
SECRETS = frozenset({"password", "sessionId", "twoFactorSecretKey", "oldSessionId", "clientSessionId"})
_ATTRIBUTE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def attribute_of(name: str) -> str:
    """Return the attribute name of a member of the specification: `new_ui_enabled` for `newUIEnabled`."""
    return _ATTRIBUTE.sub("_", name).lower()


_text, _flag = expect("text", str), expect("true or false", bool)
_flag_or_number = expect("true, false or a number", bool, int, float)


def _all(names: str, read: Callable[[Any], Any]) -> dict[str, fields.Field[Any]]:
    return {name: ValueField(read, allow_none=True) for name in names.split()}


def _required() -> fields.Field[Any]:
    return ValueField(read_filled, required=True)


LocationSchema = Schema.from_dict(_all("stringobj shortName s3Name uniqueId lineType", _text), name="LocationSchema")
ClientSchema = Schema.from_dict(
    {
        **_all(
            "clientSessionId hostName name clientName ipAddress subnet currentStatus uniqueId userId operatingSystem "
            "serverIpAddress serverDNSName version latestVersionFoClient fqdn liveConnectionServerPort webservicesPort "
            "certificate serialNumber",
            _text,
        ),
        **_all(
            "state addedOn currentStateTime archive customerId noOfAssetsDiscovered proxy agentScanEnabled "
            "agentAutoUpdateThroughAppEnabled autoUpdateApp lastStatusUpdate liveConnectionServerSSL",
            _flag_or_number,
        ),
        "location": fields.Nested(LocationSchema, allow_none=True),
    },
    name="ClientSchema",
)
_CREDENTIAL: dict[str, fields.Field[Any]] = {
    "email": _required(),
    **_all("password demoUser customerId clientName oldSessionId", _text),
    **_all("enableMFA", _flag),
    "client": fields.Nested(ClientSchema, allow_none=True),
}
#: Names a user: to impersonate, or to send a mail to.
CredentialSchema = Schema.from_dict(_CREDENTIAL, name="CredentialSchema")
#: Also contains the caller's password; for dologin.
LoginCredentialSchema = Schema.from_dict({**_CREDENTIAL, "password": _required()}, name="CredentialSchema")
ResetPasswordSchema = Schema.from_dict(
    {
        **{name: _required() for name in ("email", "password")},
        **_all("instance", _text),
        **_all("directPasswordChange", _flag),
    },
    name="ResetPasswordSchema",
)
SetUpWizardSchema = Schema.from_dict(
    {
        **{name: _required() for name in ("email", "password")},
        **_all("wizardJson", _text),
    },
    name="SetUpWizardSchema",
)


def request_body(schema: type[Schema], content: Mapping[str, Any]) -> bytes:
    """Return `content` as JSON; members that are None are left out.

    Raises:
        RequestBodyError: the content violates the specification; the message names the fields, but contains no value.
    """
    members = {name: value for name, value in content.items() if value is not None}
    if problems := schema().validate(members):
        name = schema.__name__.removesuffix("Schema")
        raise RequestBodyError(f"not a {name} of Virima's specification: {'; '.join(describe_problems(problems))}")
    return json.dumps(members, separators=(",", ":")).encode()


def _lenient(texts: str, flags: str) -> dict[str, fields.Field[Any]]:
    readers: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(texts.split(), read_text),
        **dict.fromkeys(flags.split(), read_flag),
    }
    members = {attribute_of(name): ValueField(read, allow_none=True, data_key=name) for name, read in readers.items()}
    return {"id": ValueField(read_id, reads_null=True, load_default=0), **members}


class _Answer(Schema):
    class Meta:
        unknown = EXCLUDE


class UserDetailsSchema(
    _Answer.from_dict(  # type: ignore[misc] # a class built from a table
        _lenient(
            "email userName firstName lastName displayName phone uniqueId timeStamp fileName bucketName wikiLink logoPic "
            "theme Url landingPage currency language isLocalStorage downloadLink storageType driveLink "
            "driveLinkForOrganization chatServerAddress organizationName serviceNowDomain serverPort nettyPort severAddress "
            "ivantiDomain jiraDomain subscribedModules mfaType timezone",
            "isAdmin isEndUser isCustomer isVendor isSuperAdmin isSuperEndUser integrationEnabled "
            "isCherwellIntegrationEnabled newUIEnabled enableMFA mfaChecked",
        )
    )
):
    """UserDetails without its secrets."""

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> UserDetails:
        return UserDetails(**data)


class TransactionMessageSchema(_Answer.from_dict(_lenient("recordId message", "status"))):  # type: ignore[misc] # as above
    """The answer of dologout."""

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> TransactionMessage:
        return TransactionMessage(**data)


class ResponseSchema(_Answer.from_dict(_lenient("response", ""))):  # type: ignore[misc] # as above
    """The answer of the operations on passwords."""

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> Response:
        return Response(**data)
