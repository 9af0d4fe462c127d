"""Every exception that the relay raises on purpose. Expected answers are values, not exceptions."""

from __future__ import annotations

from collections.abc import Sequence


class RelayError(Exception):
    """A fault that the relay explains in a sentence."""


class ConfigurationError(RelayError):
    """Settings or mapping files that cannot be used; `problems` lists every one of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class SecretMissingError(RelayError):
    """A secret that a mapping file refers to cannot be read; the message names the variable or the file."""


class DraftError(RelayError):
    """A new mapping file cannot be written; the message tells what to do. Nothing was written."""


class StoreUnavailableError(RelayError):
    """Redis did not answer in time, or refused the write: nothing is known to be stored."""


class JournalError(StoreUnavailableError):
    """The intake journal took nothing, or could not be read; the message names its file."""


class BacklogFullError(RelayError):
    """An integration has as much pending work as it may: nothing was stored."""


class PayloadError(RelayError):
    """A body that is not usable JSON; the message tells what is wrong and where."""


class TooManyRecordsError(RelayError):
    """A payload with more records than one webhook may hold."""


class RequestBodyError(RelayError):
    """A request that the service's specification does not have; the message names the fields, and never a value."""


class UnfitMappingError(RelayError):
    """A mapping for which no script can be written; the message names the key, and tells what to write instead."""
