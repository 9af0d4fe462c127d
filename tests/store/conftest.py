"""What the store's tests share."""

from __future__ import annotations

import pytest
from store.bench import Bench

from relay.store.connection import Connection


@pytest.fixture
def bench(redis: Connection) -> Bench:
    """An integration with DESIGN's defaults in an empty Redis."""
    return Bench(redis)
