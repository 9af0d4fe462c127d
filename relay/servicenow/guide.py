"""The comment at the head of a script: the steps to set it up, with the field names of ServiceNow's forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from relay.core.integration import Integration
from relay.core.units import format_duration
from relay.servicenow.literals import comment_text
from relay.servicenow.signing import Signing
from relay.servicenow.tables import INCIDENT, Table

When = Literal["after", "async"]
#: ServiceNow truncates longer names of records (characters).
_MAX_NAME = 40
#: Width of the column with the field names of a form (characters).
_FIELD_WIDTH = 16


@dataclass(frozen=True, slots=True)
class Setup:
    """The values that the guide shows."""

    integration: Integration
    table: Table
    other_tables: tuple[str, ...]
    signing: Signing
    #: The relay's base URL; None for a placeholder.
    url: str | None
    when: When
    #: For a sweep, the number of hours that it looks back; None for a business rule.
    hours: int | None
    #: The requested kind of authentication; None for the first of the mapping.
    auth: str | None

    @property
    def name(self) -> str:
        """The name of the integration."""
        return self.integration.name

    @property
    def rest_message(self) -> str:
        """The name of the REST message."""
        return f"Relay {self.name}"[:_MAX_NAME]

    def command(self, table: str, *options: str) -> str:
        """Return the command that prints a script for a table."""
        words = ["relay servicenow", self.name, *([] if table == INCIDENT else ["--table", table]), *options]
        words += ["--auth", self.auth] if self.auth else []
        return " ".join([*words, *(["--url", self.url.rstrip("/")] if self.url else [])])

    @property
    def own_command(self) -> str:
        """The command that prints this script."""
        if self.hours is not None:
            return self.command(self.table.name, "--sweep", "--hours", str(self.hours))
        return self.command(self.table.name, *(["--when", "async"] if self.when == "async" else []))


HTTP_METHOD = "post"


def _base_of(setup: Setup) -> str:
    """Return the relay's base URL, even if the given URL is that of the webhooks."""
    base = (setup.url or "https://CHANGE-ME").rstrip("/")
    return base.removesuffix(f"/webhooks/{setup.name}").removesuffix("/webhooks")


def url_property(name: str) -> str:
    """Return the system property that holds the URL to post to."""
    return f"relay.{name}.url"


def key_property(name: str) -> str:
    """Return the system property that holds the key."""
    return f"relay.{name}.key"


def write_guide(setup: Setup) -> str:
    """Return the comment with the steps to set the script up."""
    lines = [line for part in (_head, _properties, _message, _record, _test, _notes) for line in (*part(setup), "")]
    return "\n".join(["/*", *(f" * {comment_text(line)}".rstrip() for line in lines[:-1]), " */"]) + "\n"


def warnings_about(setup: Setup) -> list[str]:
    """Return the warnings for the person who pastes this script."""
    integration, warnings = setup.integration, []
    if not integration.enabled:
        warnings.append(f"The integration {setup.name} is disabled: the relay answers its webhooks with 404.")
    if integration.unlisted_states == "reject":
        warnings.append(
            "The mapping sets `unlisted_states: reject`: the relay answers a reopening with 422, and treats the next "
            "resolution as a repeat. Write `unlisted_states: ignore`."
        )
    if setup.hours is not None and not integration.dedupe.collapse:
        warnings.append(
            "The mapping sets `collapse: false`: each update of a resolved ticket is pushed to IEM again, with the same state."
        )
    if setup.hours is not None and setup.hours * 3600 > integration.dedupe.window:
        window = format_duration(integration.dedupe.window)
        warnings.append(
            f"`--hours {setup.hours}` is longer than the mapping's `dedupe.window` ({window}): "
            "after that time only `dedupe.collapse` recognises a repeat."
        )
    return warnings


def _head(setup: Setup) -> Iterator[str]:
    name, table = setup.name, setup.table.name
    if setup.hours is None:
        yield f"Posts resolved, closed and reopened tickets of the table {table} to the relay (integration {name})."
    else:
        yield f"Posts recently resolved tickets of the table {table} again to the relay (integration {name}). The relay"
        yield "recognises a ticket that it already has as a duplicate, and queues a ticket that was lost."
    yield f"Written by `{setup.own_command}` for mapping version {setup.integration.digest}."
    yield "If the mapping changes, run this command again and replace the script."
    yield "Create everything in the scope Global."


def _properties(setup: Setup) -> Iterator[str]:
    yield "1. System properties (sys_properties.list):"
    url = f"{_base_of(setup)}/webhooks/{setup.name}"
    yield from _form("Name", url_property(setup.name))
    yield from _form("Type", "string")
    yield from _form("Value", url if setup.url else f"{url}     <-- CHANGE to the relay's address")
    if setup.signing.key:
        yield ""
        yield from _form("Name", key_property(setup.name))
        yield from _form("Type", "password2")
        yield from _form("Value", *setup.signing.key)


def _message(setup: Setup) -> Iterator[str]:
    yield "2. A REST message (System Web Services > Outbound > REST Message):"
    yield from _form("Name", setup.rest_message)
    yield from _form("Endpoint", f"the value of {url_property(setup.name)}")
    yield from _form("Authentication", setup.signing.authentication)
    yield from _form(
        "HTTP method", f"Name {HTTP_METHOD}, HTTP method POST, the same endpoint, authentication inherited from parent"
    )


def _record(setup: Setup) -> Iterator[str]:
    if setup.hours is not None:
        yield "3. A scheduled job (System Definition > Scheduled Jobs > Automatically run a script of your choosing):"
        yield from _form("Name", f"Relay {setup.name}: sweep {setup.table.name}"[:_MAX_NAME])
        yield from _form("Run", "Periodically, every 15 minutes")
        yield from _form("Run this script", "all of this text")
        return
    yield "3. A business rule (System Definition > Business Rules):"
    yield from _form("Name", f"Relay {setup.name}: {setup.table.name}"[:_MAX_NAME])
    yield from _form("Table", setup.table.name)
    yield from _form("Active, Advanced", "checked")
    yield from _form("When", f"{setup.when}, Insert and Update checked")
    yield from _form("Condition", "current.state.changes()")
    yield from _form("Script", "all of this text")


def _test(setup: Setup) -> Iterator[str]:
    if setup.hours is not None:
        yield "4. Test: select Execute Now. The system log (Information) then has a line"
        yield f"   `relay {setup.name}: sweep of {setup.table.name}: …`."
        return
    yield "4. Test: resolve a ticket. On the relay's machine, `relay explain INC…` shows the result. If the relay received"
    yield f"   nothing, see the line `relay {setup.name}: …` in the system log (Errors), and the status in the outbound HTTP log."


def _notes(setup: Setup) -> Iterator[str]:
    yield from warnings_about(setup)
    if setup.hours is not None:
        yield from _sweep_notes(setup)
        return
    if setup.when == "after":
        yield "The rule does not wait for the answer, so it never delays a user. A scheduled job posts lost and refused"
        yield "tickets again, and logs refusals. Set it up as well:"
    else:
        yield "The rule tries up to three times. A scheduled job posts the tickets that are still lost. Set it up as well:"
    yield f"    {setup.command(setup.table.name, '--sweep')}"
    yield from _other_tables(setup)


def _sweep_notes(setup: Setup) -> Iterator[str]:
    if setup.table.labels or not setup.table.numbers:
        yield "The mapping lists a state by a label whose number is not known: the job reads all tickets that were updated."
    yield from _other_tables(setup, "--sweep")


def _other_tables(setup: Setup, *options: str) -> Iterator[str]:
    if setup.other_tables:
        yield "The mapping relays other tables as well. Each table needs a script of its own:"
        yield from (f"    {setup.command(name, *options)}" for name in setup.other_tables)


def _form(label: str, *values: str) -> Iterator[str]:
    """Yield the lines for a field of a form: its name and its value, and further values below."""
    first, *rest = values
    yield f"     {label:<{_FIELD_WIDTH}}  {first}"
    yield from (f"     {'':<{_FIELD_WIDTH}}  {value}" for value in rest)
