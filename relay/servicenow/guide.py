"""The comment at the head of a script: what to set up in ServiceNow, step by step, in the words of its forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from relay.core.integration import Integration
from relay.core.units import format_duration
from relay.servicenow.literals import remark
from relay.servicenow.signing import Signing
from relay.servicenow.tables import INCIDENT, Table

When = Literal["after", "async"]
#: ServiceNow cuts longer names of records off.
_MOST_NAME = 40
#: Widest name of a form's field.
_WIDTH = 16


@dataclass(frozen=True, slots=True)
class Setup:
    """All that the guide tells of."""

    integration: Integration
    table: Table
    others: tuple[str, ...]
    signing: Signing
    #: The relay's base URL, or None: not known.
    url: str | None
    when: When
    #: Hours that a sweep looks back, or None: it is a business rule.
    hours: int | None
    #: The kind of authentication that was asked for.
    auth: str | None

    @property
    def name(self) -> str:
        """The integration's name."""
        return self.integration.name

    @property
    def rest_message(self) -> str:
        """The REST message's name."""
        return f"Relay {self.name}"[:_MOST_NAME]

    def command(self, table: str, *options: str) -> str:
        """Return the command for a script of a table."""
        whole = ["relay servicenow", self.name, *([] if table == INCIDENT else ["--table", table]), *options]
        whole += ["--auth", self.auth] if self.auth else []
        return " ".join([*whole, *(["--url", self.url.rstrip("/")] if self.url else [])])

    @property
    def own_command(self) -> str:
        """The command for this very script."""
        if self.hours is not None:
            return self.command(self.table.name, "--sweep", "--hours", str(self.hours))
        return self.command(self.table.name, *(["--when", "async"] if self.when == "async" else []))


HTTP_METHOD = "post"


def _base_of(setup: Setup) -> str:
    """Return the relay's address, also where somebody gave that of the webhooks."""
    base = (setup.url or "https://CHANGE-ME").rstrip("/")
    return base.removesuffix(f"/webhooks/{setup.name}").removesuffix("/webhooks")


def url_property(name: str) -> str:
    """Return the system property that holds the URL to post to."""
    return f"relay.{name}.url"


def key_property(name: str) -> str:
    """Return the system property that holds the key."""
    return f"relay.{name}.key"


def write_guide(setup: Setup) -> str:
    """Return the comment."""
    lines = [line for part in (_head, _properties, _message, _record, _trial, _notes) for line in (*part(setup), "")]
    return "\n".join(["/*", *(f" * {remark(line)}".rstrip() for line in lines[:-1]), " */"]) + "\n"


def cautions(setup: Setup) -> list[str]:
    """Return what is to be told to whoever pastes this script, besides."""
    integration, found = setup.integration, []
    if not integration.enabled:
        found.append(f"The integration {setup.name} is disabled: the relay answers its webhooks 404.")
    if integration.unlisted_states == "reject":
        found.append(
            "The mapping says `unlisted_states: reject`: a reopening is answered 422, and the resolution after it is "
            "taken for a repeat. Write `unlisted_states: ignore`."
        )
    if setup.hours is not None and not integration.dedupe.collapse:
        found.append(
            "The mapping says `collapse: false`: IEM is told again of each ticket that is updated while it is resolved."
        )
    if setup.hours is not None and setup.hours * 3600 > integration.dedupe.window:
        window = format_duration(integration.dedupe.window)
        found.append(
            f"{setup.hours} hours are more than the mapping's `dedupe.window` ({window}): beyond it only "
            "`dedupe.collapse` recognises a repeat."
        )
    return found


def _head(setup: Setup) -> Iterator[str]:
    if setup.hours is None:
        yield f"Tells the relay ({setup.name}) when a ticket of {setup.table.name} is resolved, closed or reopened."
    else:
        yield f"Posts to the relay ({setup.name}) once more what was resolved of {setup.table.name} lately. What the relay has"
        yield "is a duplicate there and does no harm; what got lost on the way is queued."
    yield f"Written by `{setup.own_command}`, mapping version {setup.integration.digest}. When that changes, write it anew."
    yield "Create all of it in the scope Global."


def _properties(setup: Setup) -> Iterator[str]:
    yield "1. System properties (sys_properties.list):"
    url = f"{_base_of(setup)}/webhooks/{setup.name}"
    yield from _form("Name", url_property(setup.name))
    yield from _form("Type", "string")
    yield from _form("Value", url if setup.url else f"{url}     <-- CHANGE: the relay's address")
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
        "HTTP method", f"Name {HTTP_METHOD}, HTTP method POST, the same endpoint, authentication from its parent"
    )


def _record(setup: Setup) -> Iterator[str]:
    if setup.hours is not None:
        yield "3. A scheduled job (System Definition > Scheduled Jobs > Automatically run a script of your choosing):"
        yield from _form("Name", f"Relay {setup.name}: sweep {setup.table.name}"[:_MOST_NAME])
        yield from _form("Run", "Periodically, every 15 minutes")
        yield from _form("Run this script", "all of this text")
        return
    yield "3. A business rule (System Definition > Business Rules):"
    yield from _form("Name", f"Relay {setup.name}: {setup.table.name}"[:_MOST_NAME])
    yield from _form("Table", setup.table.name)
    yield from _form("Active, Advanced", "checked")
    yield from _form("When", f"{setup.when}, Insert and Update checked")
    yield from _form("Condition", "current.state.changes()")
    yield from _form("Script", "all of this text")


def _trial(setup: Setup) -> Iterator[str]:
    if setup.hours is not None:
        yield (
            "4. To try it: Execute Now. The system log (Information) then has a line `relay "
            + setup.name
            + ": sweep of …`."
        )
        return
    yield "4. To try it: resolve a ticket. Where the relay runs, `relay explain INC…` tells what became of it."
    yield f"   If nothing came: the system log (Errors) has a line `relay {setup.name}: …`, the outbound HTTP log the status."


def _notes(setup: Setup) -> Iterator[str]:
    yield from cautions(setup)
    if setup.hours is not None:
        yield from _sweep_notes(setup)
        return
    if setup.when == "after":
        yield "The rule hands the message over and does not see the answer: nobody's form waits for it. What gets lost or is"
        yield "refused is posted again, and told in the log, by a scheduled job. Set that up, too:"
    else:
        yield "The rule tries up to three times. What still gets lost is posted again by a scheduled job. Set that up, too:"
    yield f"    {setup.command(setup.table.name, '--sweep')}"
    yield from _others(setup)


def _sweep_notes(setup: Setup) -> Iterator[str]:
    if setup.table.labels or not setup.table.numbers:
        yield "The mapping lists states by a label of which no number is known: the job reads all tickets that were updated."
    yield from _others(setup, "--sweep")


def _others(setup: Setup, *options: str) -> Iterator[str]:
    if setup.others:
        yield "The mapping relays other tables, too, each with a script of its own:"
        yield from (f"    {setup.command(name, *options)}" for name in setup.others)


def _form(label: str, *values: str) -> Iterator[str]:
    """Yield a field of a form, and below its value what belongs to it."""
    first, *rest = values
    yield f"     {label:<{_WIDTH}}  {first}"
    yield from (f"     {'':<{_WIDTH}}  {value}" for value in rest)
