"""A new mapping file as an admin describes it: what is asked, what an answer may be, and the text that comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from marshmallow import Schema, ValidationError

from relay.mapping_files.parser import check_name
from relay.mapping_files.reading import Read
from relay.mapping_files.reference_readers import read_url
from relay.mapping_files.schema import IemSchema, MappingSchema, VirimaSchema
from relay.mapping_files.value_readers import choice, read_text

NONE = "none"
#: What the secret of the sender is called, by how it authenticates.
_WEBHOOK_SECRETS = {"basic": "webhook-password", "hmac": "webhook-key", "header": "webhook-key"}
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Draft:
    """The answers; each is good by its question's reader."""

    name: str
    source: str
    customer_id: str
    integration_id: str
    iem_url: str
    iem_username: str
    auth: str = "basic"
    #: Empty: the name.
    description: str = ""
    #: A URL, or the word none.
    virima_url: str = NONE
    virima_username: str = ""
    #: The folder of the files that secrets stand in. Empty: they stand in environment variables.
    secrets_from: str = ""

    @property
    def has_virima(self) -> bool:
        """Whether resolvers are looked up."""
        return self.virima_url != NONE


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for a field of `Draft`, and the reader of its answer: the schema's own where it becomes a key."""

    field: str
    asks: str
    read: Callable[[Any], Any]
    #: The answer of who gives none; None: there must be one.
    usual: str | None = None
    #: Whether people are asked on a terminal. Without it there is only the option.
    is_asked: bool = True

    @property
    def option(self) -> str:
        """How the answer is given on the command line."""
        return f"--{self.field.replace('_', '-')}"

    def check(self, answer: str) -> str | None:
        """Return what is wrong with `answer` in a sentence, or None."""
        if answer == self.usual:
            return None
        try:
            self.read(answer)
        except ValidationError as error:
            return "; ".join(str(message) for message in error.messages)
        return None


def _reader_of(schema: type[Schema], key: str) -> Callable[[Any], Any]:
    field = schema().fields[key]
    assert isinstance(field, Read)
    return field.read


def _read_name(value: Any) -> str:
    name = read_text(value)
    if fault := check_name(name):
        raise ValidationError(fault)
    return name


def _read_folder(value: Any) -> str:
    folder = read_text(value)
    if not folder.startswith("/"):
        raise ValidationError("expected a folder's path from the root, such as /run/secrets")
    return folder


QUESTIONS = (
    Question("name", "Name of the integration, such as acme-prod: its webhooks go to /webhooks/acme-prod", _read_name),
    Question("source", "Who sends: servicenow or service-exchange", _reader_of(MappingSchema, "source")),
    Question(
        "auth",
        "How the sender authenticates: basic (user name and password), hmac (signature) or header (API key)",
        choice(*_WEBHOOK_SECRETS),
        "basic",
    ),
    Question("description", "Description, for people; without one the name", read_text, ""),
    Question("iem_url", "URL of the organisation's Hosted_API of IEM", _reader_of(IemSchema, "url")),
    Question("customer_id", "Customer id in IEM, such as ACME", _reader_of(IemSchema, "customer_id")),
    Question("integration_id", "Integration id in IEM, such as 42", _reader_of(IemSchema, "integration_id")),
    Question("iem_username", "API user of IEM, such as relay-api@example.com", _reader_of(IemSchema, "username")),
    Question("virima_url", "URL of Virima, to look up who resolved a ticket; or none", read_url, NONE),
    Question("virima_username", "Service account in Virima", _reader_of(VirimaSchema, "username")),
    Question(
        "secrets_from",
        "Folder of files with the secrets, such as /run/secrets; without it they are environment variables",
        _read_folder,
        "",
        is_asked=False,
    ),
)


def applies(question: Question, answers: Mapping[str, str]) -> bool:
    """Tell whether `question` needs an answer beside those that are there."""
    return question.field != "virima_username" or answers.get("virima_url", NONE) != NONE


def quote(text: str) -> str:
    """Return `text` as a YAML scalar in double quotes, on one line: whatever it holds, it is read back as it was."""
    written: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return written.rstrip("\n")


def env_name(name: str, what: str) -> str:
    """Return the environment variable of a secret: `ACME_PROD_IEM_PASSWORD`. None of them begins with a digit."""
    written = f"{name}_{what}".replace("-", "_").upper()
    return f"_{written}" if written[0].isdigit() else written


def write_draft(draft: Draft, template_of: Callable[[str], str]) -> str:
    """Return the mapping file's text. `template_of` gives the templates of `relay.sources` by name."""
    blocks = {
        "auth": template_of(f"auth-{draft.auth}").rstrip(),
        "iem": template_of("iem").rstrip(),
        "virima": template_of("virima").rstrip() if draft.has_virima else "",
    }
    template = _PLACEHOLDER.sub(lambda found: blocks.get(found[1], found[0]), template_of(draft.source))
    values = _values_of(draft)
    return _PLACEHOLDER.sub(lambda found: values[found[1]], re.sub(r"\n{3,}", "\n\n", template))


def _values_of(draft: Draft) -> dict[str, str]:
    """Return what the templates' placeholders stand for. What an admin gave is quoted, and stands in no remark."""
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
    """Return where a secret stands, as a mapping file has it."""
    if draft.secrets_from:
        folder = draft.secrets_from.rstrip("/")
        return f"{{file: {quote(f'{folder}/{draft.name}-{what}')}}}"
    return f"{{env: {env_name(draft.name, what)}}}"
