"""Every exception that the relay raises on purpose. Expected answers are values, not exceptions."""

from __future__ import annotations

from collections.abc import Sequence


class RelayError(Exception):
    """A fault whose message explains it to people."""


class ConfigurationError(RelayError):
    """The settings or mapping files cannot be used. `problems` lists every reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class NotFoundError(RelayError):
    """No integration, delivery, rejection, ticket or file has the given name or id."""


class ConflictError(RelayError):
    """An operation is not possible in the current status of its object; the message gives the reason."""


class SecretMissingError(RelayError):
    """A secret that a mapping file refers to cannot be read. The message names the variable or the file."""


class DraftError(RelayError):
    """A new mapping file cannot be written, and nothing was written. The message says what to do."""


class StoreUnavailableError(RelayError):
    """Redis did not answer in time or refused the write. It is unknown whether the data is stored."""


class JournalError(StoreUnavailableError):
    """The intake journal cannot be written or read. The message names its file."""


class BacklogFullError(RelayError):
    """The integration has reached its limit of pending deliveries. Nothing was stored."""


class PayloadError(RelayError):
    """A request body is not usable JSON. The message says what is wrong and where."""


class TooManyRecordsError(RelayError):
    """A payload has more records than one webhook can contain."""


class RequestBodyError(RelayError):
    """A request does not match the service's specification. The message names the fields, and never a value."""


class UnfitMappingError(RelayError):
    """No script can be written for a mapping. The message names the key and says what to write instead."""
