"""Combines a script from the guide, the settings, and the parts in `js/`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from textwrap import indent
from typing import Any

from relay.core.integration import Integration
from relay.errors import ConfigurationError, UnfitMappingError
from relay.mapping_files.folder import MappingFile
from relay.servicenow.guide import HTTP_METHOD, Setup, When, key_property, url_property, warnings_about, write_guide
from relay.servicenow.layout import Layout, find_layout
from relay.servicenow.literals import object_literal
from relay.servicenow.signing import choose_authentication, signing_for
from relay.servicenow.tables import INCIDENT, Table, choose_table, relayed_tables

_PLACEHOLDER = re.compile(r"^( *)//= (\w+)\n", re.MULTILINE)
#: Timeouts of a post (milliseconds). The relay answers a ticket within 2 seconds; a list takes longer.
_RULE_TIMEOUT, _SWEEP_TIMEOUT = 5_000, 30_000
#: Number of times that an async rule tries to post.
_MAX_TRIES = 3
#: Number of tickets in one post of a sweep; the relay accepts 500, and 256 KiB.
_MAX_PER_POST = 100
_MAIN = {"after": "business_rule", "async": "async_rule"}


@dataclass(frozen=True, slots=True)
class ScriptOptions:
    """Which script to write."""

    table: str = INCIDENT
    when: When = "after"
    #: For a sweep, the number of hours that it looks back; None for a business rule.
    hours: int | None = None
    #: Kind of authentication; None for the first of the mapping.
    auth: str | None = None
    #: The relay's base URL; None for a placeholder.
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A script to paste, with warnings for the person who pastes it."""

    text: str
    warnings: tuple[str, ...]


def write_script(file: MappingFile, options: ScriptOptions) -> Script:
    """Return the script for the integration that `file` describes.

    Raises:
        ConfigurationError: the file has faults.
        UnfitMappingError: no script can be written for it; the message says why, and what to do.
    """
    integration = file.integration
    if integration is None:
        raise ConfigurationError(file.formatted_faults())
    try:
        return _write(file, integration, options)
    except UnfitMappingError as error:
        raise UnfitMappingError(f"{file.path}: {error}") from None


def _write(file: MappingFile, integration: Integration, options: ScriptOptions) -> Script:
    if integration.source != "servicenow":
        raise UnfitMappingError(f"its source is {integration.source}: only ServiceNow runs these scripts")
    tables = relayed_tables(file, integration)
    table = choose_table(tables, options.table)
    signing = signing_for(choose_authentication(integration, options.auth))
    others = tuple(other.name for other in tables if other.name != table.name)
    setup = Setup(integration, table, others, signing, options.url, options.when, options.hours, options.auth)
    layout = find_layout(integration, table)
    parts = {
        "config": f"var RELAY = {object_literal(_settings(setup, layout))};\n",
        "content": _part(_content(layout, is_sweep=options.hours is not None)),
        "functions": "\n".join(map(_part, _functions(setup))),
        **{placeholder: _part(name) for placeholder, name in signing.parts.items()},
    }
    main = "sweep" if options.hours is not None else _MAIN[options.when]
    return Script(write_guide(setup) + _fill(_part(main), parts), tuple(warnings_about(setup)))


def _settings(setup: Setup, layout: Layout) -> dict[str, Any]:
    is_sweep = setup.hours is not None
    settings: dict[str, Any] = {
        "name": setup.name,
        "url_property": url_property(setup.name),
        "rest_message": setup.rest_message,
        "http_method": HTTP_METHOD,
        "timeout_ms": _SWEEP_TIMEOUT if is_sweep else _RULE_TIMEOUT,
        **({"key_property": key_property(setup.name)} if setup.signing.key else {}),
        **setup.signing.settings,
        "table": setup.table.name,
        "states": [state.upper() for state in setup.table.states],
        "envelope": layout.envelope,
        "fields": layout.fields,
    }
    if setup.hours is not None:
        max_per_post = _MAX_PER_POST if layout.accepts_lists else 1
        settings |= {"query": _query(setup.table, setup.hours), "max_per_post": max_per_post}
    elif setup.when == "async":
        settings |= {"max_tries": _MAX_TRIES}
    return settings


def _query(table: Table, hours: int) -> str:
    """Return ServiceNow's encoded query. It cannot contain labels: for those the script compares each ticket itself."""
    by_number = bool(table.numbers) and not table.labels
    states = f"stateIN{','.join(table.numbers)}^" if by_number else ""
    return f"{states}sys_updated_onRELATIVEGT@hour@ago@{hours}^ORDERBYsys_updated_on"


def _content(layout: Layout, *, is_sweep: bool) -> str:
    if is_sweep:
        return "content_tickets" if layout.accepts_lists else "content_one_by_one"
    return "content_list_of_one" if layout.is_list else "content_ticket"


def _functions(setup: Setup) -> Iterable[str]:
    waits = setup.hours is not None or setup.when == "async"
    return ("ticket", *(("post",) if waits else ()), "request", *setup.signing.functions)


def _fill(text: str, parts: Mapping[str, str]) -> str:
    """Return `text` with each placeholder replaced by its part, or removed if there is no such part."""

    def replace(placeholder: re.Match[str]) -> str:
        return indent(_fill(parts.get(placeholder[2], ""), parts), placeholder[1])

    return _PLACEHOLDER.sub(replace, text)


@cache
def _part(name: str) -> str:
    return files(__package__).joinpath("js", f"{name}.js").read_text("utf-8")
