"""How many examples a property is tried with: as many as it says, or more where RELAY_PROPERTY_EXAMPLES asks for them."""

from __future__ import annotations

import os

#: Of every property at least so many; 0: each property's own number.
AT_LEAST = int(os.environ.get("RELAY_PROPERTY_EXAMPLES", "0"))


def examples(usual: int) -> int:
    """Return how many examples to try where `usual` are enough for each change."""
    return max(usual, AT_LEAST)
