"""The number of examples for a property test: its own number, or RELAY_PROPERTY_EXAMPLES if that is larger."""

from __future__ import annotations

import os

#: Minimum number of examples for every property; 0 for each property's own number.
MIN_EXAMPLES = int(os.environ.get("RELAY_PROPERTY_EXAMPLES", "0"))


def examples(usual: int) -> int:
    """Return the number of examples for a property that usually needs `usual`."""
    return max(usual, MIN_EXAMPLES)
