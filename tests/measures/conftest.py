"""A relay of one's own for each measure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from end_to_end.conftest import Site, open_site


@pytest.fixture
def site() -> Iterator[Site]:
    """A site with the integration `acme`; nothing of the relay runs yet."""
    with open_site() as opened:
        yield opened
