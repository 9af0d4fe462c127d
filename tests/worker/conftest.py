"""The simulated Virima, for the tests of lookups."""

from virima.conftest import served, server

__all__ = ["served", "server"]
