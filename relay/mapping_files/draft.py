"""A new mapping file from an admin's answers: the questions, the checks of the answers, and the text of the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from marshmallow import ValidationError

from relay.core.integration import Integration
from relay.core.mapping_blocks import IemBlock, VirimaBlock
from relay.core.mapping_key import keys_of
from relay.mapping_files.parser import check_name
from relay.mapping_files.reference_readers import read_url
from relay.mapping_files.schema import reader_of
from relay.mapping_files.value_readers import choice, read_text

NONE = "none"
#: The name of the sender's secret by type of authentication.
_WEBHOOK_SECRETS = {"basic": "webhook-password", "hmac": "webhook-key", "header": "webhook-key"}
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Draft:
    """The answers; each has passed the check of its question."""

    name: str
    source: str
    customer_id: str
    integration_id: str
    iem_url: str
    iem_username: str
    auth: str = "basic"
    #: If empty, the name is used.
    description: str = ""
    #: A URL, or `none`.
    virima_url: str = NONE
    virima_username: str = ""
    #: The folder of the files with the secrets. If empty, secrets are in environment variables.
    secrets_from: str = ""

    @property
    def has_virima(self) -> bool:
        """Whether resolvers are looked up."""
        return self.virima_url != NONE


@dataclass(frozen=True, slots=True)
class Question:
    """The question for a field of `Draft`, with the reader of its answer, which for a mapping key is the reader of the schema."""

    field: str
    text: str
    read: Callable[[Any], Any]
    #: None: an answer is required.
    default: str | None = None
    #: Whether the question is asked on a terminal; otherwise there is only the option.
    is_asked: bool = True

    @property
    def option(self) -> str:
        """The option of the command line with the answer."""
        return f"--{self.field.replace('_', '-')}"

    def check(self, answer: str) -> str | None:
        """Return what is wrong with `answer`, or None."""
        if answer == self.default:
            return None
        try:
            self.read(answer)
        except ValidationError as error:
            return "; ".join(str(message) for message in error.messages)
        return None


def _reader_of(block: type[Any], name: str) -> Callable[[Any], Any]:
    return reader_of(next(key.kind for field, key in keys_of(block) if field.name == name))


def _read_name(value: Any) -> str:
    name = read_text(value)
    if fault := check_name(name):
        raise ValidationError(fault)
    return name


def _read_folder(value: Any) -> str:
    folder = read_text(value)
    if not folder.startswith("/"):
        raise ValidationError("expected the absolute path of a folder, such as /run/secrets")
    return folder


QUESTIONS = (
    Question(
        "name",
        "Name of the integration, such as acme-prod (its webhooks are posted to /webhooks/acme-prod)",
        _read_name,
    ),
    Question(
        "source", "ITSM tool that sends the webhooks: servicenow or service-exchange", _reader_of(Integration, "source")
    ),
    Question(
        "auth",
        "How the sender authenticates: basic (user name and password), hmac (signature) or header (API key)",
        choice(*_WEBHOOK_SECRETS),
        "basic",
    ),
    Question("description", "Description, for people (default: the name)", read_text, ""),
    Question("iem_url", "URL of your organisation's Hosted_API of IEM", _reader_of(IemBlock, "url")),
    Question("customer_id", "Customer id in IEM, such as ACME", _reader_of(IemBlock, "customer_id")),
    Question("integration_id", "Integration id in IEM, such as 42", _reader_of(IemBlock, "integration_id")),
    Question("iem_username", "API user in IEM, such as relay-api@example.com", _reader_of(IemBlock, "username")),
    Question("virima_url", "URL of Virima, to look up who resolved a ticket; or none", read_url, NONE),
    Question("virima_username", "Service account in Virima", _reader_of(VirimaBlock, "username")),
    Question(
        "secrets_from",
        "Folder of the secret files, such as /run/secrets (default: secrets are in environment variables)",
        _read_folder,
        "",
        is_asked=False,
    ),
)


def applies(question: Question, answers: Mapping[str, str]) -> bool:
    """Return whether `question` has to be asked, given `answers`."""
    return question.field != "virima_username" or answers.get("virima_url", NONE) != NONE


def quote(text: str) -> str:
    """Return `text` as a YAML scalar in double quotes on one line, which is read back unchanged."""
    written: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return written.rstrip("\n")


def env_name(name: str, what: str) -> str:
    """Return the environment variable of a secret, such as `ACME_PROD_IEM_PASSWORD`; it never begins with a digit."""
    written = f"{name}_{what}".replace("-", "_").upper()
    return f"_{written}" if written[0].isdigit() else written


def write_draft(draft: Draft, template_of: Callable[[str], str]) -> str:
    """Return the text of the mapping file. `template_of` returns a template of `sources` by name."""
    blocks = {
        "auth": template_of(f"auth-{draft.auth}").rstrip(),
        "iem": template_of("iem").rstrip(),
        "virima": template_of("virima").rstrip() if draft.has_virima else "",
    }
    template = _PLACEHOLDER.sub(lambda found: blocks.get(found[1], found[0]), template_of(draft.source))
    values = _values_of(draft)
    return _PLACEHOLDER.sub(lambda found: values[found[1]], re.sub(r"\n{3,}", "\n\n", template))


def _values_of(draft: Draft) -> dict[str, str]:
    """Return the values of the templates' placeholders. Answers are quoted, and never used in comments."""
    return {
        "name": draft.name,
        "source": draft.source,
        "description": quote(draft.description or draft.name),
        "webhook_secret": _refer(draft, _WEBHOOK_SECRETS[draft.auth]),
        "iem_url": quote(draft.iem_url),
        "customer_id": quote(draft.customer_id),
        "integration_id": quote(draft.integration_id),
        "iem_username": quote(draft.iem_username),
        "iem_secret": _refer(draft, "iem-password"),
        "virima_url": quote(draft.virima_url),
        "virima_username": quote(draft.virima_username),
        "virima_secret": _refer(draft, "virima-password"),
    }


def _refer(draft: Draft, what: str) -> str:
    """Return the reference to a secret in a mapping file's notation."""
    if draft.secrets_from:
        folder = draft.secrets_from.rstrip("/")
        return f"{{file: {quote(f'{folder}/{draft.name}-{what}')}}}"
    return f"{{env: {env_name(draft.name, what)}}}"
