"""Dates and times as options of commands."""

from __future__ import annotations

from typing import Any

import click

from relay.core.values import parse_date_time


class DateTime(click.ParamType[int]):
    """A date and time, converted to Unix milliseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the milliseconds, or fail with an example of the expected form."""
        milliseconds = parse_date_time(str(value))
        if milliseconds is None:
            self.fail(f"{value!r} is not a date and time such as 2026-11-22T10:20:30Z", param, ctx)
        return milliseconds
