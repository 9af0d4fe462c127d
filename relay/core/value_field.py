"""The marshmallow field that all schemas of the relay use: a function reads the value.

A schema writes `ValueField(read_text, required=True)`. `read` returns the value, or raises marshmallow's `ValidationError` with
a phrase such as "expected text". Other options, such as `allow_none`, `load_default` and `metadata`, are those of marshmallow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import fields


class ValueField(fields.Field[Any]):
    """A field whose value is the result of `read`."""

    def __init__(self, read: Callable[[Any], Any], *, reads_null: bool = False, **options: Any) -> None:
        """`reads_null`: `read` decides about null too; otherwise marshmallow does, by `allow_none`."""
        super().__init__(**options)
        self.read = read
        self._reads_null = reads_null

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        """Return what `read` returns for `value`."""
        if value is None and self._reads_null:
            return self.read(None)
        return super().deserialize(value, attr, data, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return self.read(value)
