"""Putting a script together: the guide, the settings, and the parts in `js/`."""

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
from relay.servicenow.guide import HTTP_METHOD, Setup, When, cautions, key_property, url_property, write_guide
from relay.servicenow.layout import Layout, lay_out
from relay.servicenow.literals import object_literal
from relay.servicenow.signing import choose_authentication, sign
from relay.servicenow.tables import INCIDENT, Table, choose_table, relayed_tables

_PLACE = re.compile(r"^( *)//= (\w+)\n", re.MULTILINE)
#: How long a script waits for an answer (milliseconds); the relay answers within 2 seconds, a list takes longer.
_RULE_TIMEOUT, _SWEEP_TIMEOUT = 5_000, 30_000
#: Times that an async rule posts.
_MOST_TRIES = 3
#: Tickets that a sweep posts at once; the relay takes 500, and 256 KiB.
_MOST_PER_POST = 100
_MAIN = {"after": "business_rule", "async": "async_rule"}


@dataclass(frozen=True, slots=True)
class Wish:
    """Which script is wanted."""

    table: str = INCIDENT
    when: When = "after"
    #: For a sweep: how many hours it looks back. None: a business rule.
    hours: int | None = None
    #: Kind of authentication; None: the mapping's first.
    auth: str | None = None
    #: The relay's base URL; None: a placeholder.
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A script to paste, and what is to be told besides."""

    text: str
    cautions: tuple[str, ...]


def write_script(file: MappingFile, wish: Wish) -> Script:
    """Return the script for the integration that `file` describes.

    Raises:
        ConfigurationError: the file has faults.
        UnfitMappingError: no script can be written for it; the message tells why, and what to do.
    """
    integration = file.integration
    if integration is None:
        raise ConfigurationError(file.complaints())
    try:
        return _write(file, integration, wish)
    except UnfitMappingError as error:
        raise UnfitMappingError(f"{file.path}: {error}") from None


def _write(file: MappingFile, integration: Integration, wish: Wish) -> Script:
    if integration.source != "servicenow":
        raise UnfitMappingError(f"its source is {integration.source}: only ServiceNow itself runs these scripts")
    tables = relayed_tables(file, integration)
    table = choose_table(tables, wish.table)
    signing = sign(choose_authentication(integration, wish.auth))
    others = tuple(one.name for one in tables if one.name != table.name)
    setup = Setup(integration, table, others, signing, wish.url, wish.when, wish.hours, wish.auth)
    layout = lay_out(integration, table)
    parts = {
        "config": f"var RELAY = {object_literal(_settings(setup, layout))};\n",
        "content": _part(_content(layout, is_sweep=wish.hours is not None)),
        "functions": "\n".join(map(_part, _functions(setup))),
        **{place: _part(name) for place, name in signing.parts.items()},
    }
    main = "sweep" if wish.hours is not None else _MAIN[wish.when]
    return Script(write_guide(setup) + _fill(_part(main), parts), tuple(cautions(setup)))


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
        most = _MOST_PER_POST if layout.takes_lists else 1
        settings |= {"query": _query(setup.table, setup.hours), "most_per_post": most}
    elif setup.when == "async":
        settings |= {"most_tries": _MOST_TRIES}
    return settings


def _query(table: Table, hours: int) -> str:
    """Return ServiceNow's encoded query. A label is nothing to ask by: the script looks at each ticket itself."""
    by_number = bool(table.numbers) and not table.labels
    states = f"stateIN{','.join(table.numbers)}^" if by_number else ""
    return f"{states}sys_updated_onRELATIVEGT@hour@ago@{hours}^ORDERBYsys_updated_on"


def _content(layout: Layout, *, is_sweep: bool) -> str:
    if is_sweep:
        return "content_tickets" if layout.takes_lists else "content_one_by_one"
    return "content_list_of_one" if layout.is_list else "content_ticket"


def _functions(setup: Setup) -> Iterable[str]:
    waits = setup.hours is not None or setup.when == "async"
    return ("ticket", *(("post",) if waits else ()), "request", *setup.signing.functions)


def _fill(text: str, parts: Mapping[str, str]) -> str:
    """Return `text` with the parts put in their places; a place without one goes."""

    def put(place: re.Match[str]) -> str:
        return indent(_fill(parts.get(place[2], ""), parts), place[1])

    return _PLACE.sub(put, text)


@cache
def _part(name: str) -> str:
    return files(__package__).joinpath("js", f"{name}.js").read_text("utf-8")
