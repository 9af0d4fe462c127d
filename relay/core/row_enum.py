"""An enumeration whose members each have a row of a table: a member without its row cannot exist."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self


class RowEnum(StrEnum):
    """Base class. A member is written `NAME = "value", Row(…)`; a subclass declares the type of `row`."""

    row: Any

    # The default is for the type checker alone, which treats a lookup by value, `Reason("bug")`, as a call of this method.
    def __new__(cls, value: str, row: Any = None) -> Self:
        """Make a member that equals `value`, with its row.

        Raises:
            TypeError: there is no row.
        """
        if row is None:
            raise TypeError(f"{cls.__name__} {value!r} has no row")
        member = str.__new__(cls, value)
        member._value_ = value
        member.row = row
        return member
