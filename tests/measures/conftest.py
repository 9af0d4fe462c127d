"""A relay for each measurement."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from end_to_end.conftest import Site, open_site


@pytest.fixture
def site() -> Iterator[Site]:
    """A site with the integration `acme`. No process of the relay runs yet."""
    with open_site() as opened:
        yield opened
