"""What all answers have in common."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema


class AnswerSchema(Schema):
    """An answer, to which later versions may add members."""

    class Meta:
        """Nothing is said of other members."""

        unknown = EXCLUDE
