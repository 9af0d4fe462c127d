"""The last net against secrets in logs and error texts: every value that was read as a secret is blotted out."""

from __future__ import annotations

import base64

MARK = "[redacted]"
#: Shorter values would blot out ordinary words.
_LEAST_LENGTH = 4


class Redactor:
    """Knows the secrets of this process, and blots them out of text."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Remember `secret`, as it is and in base64."""
        if len(secret) < _LEAST_LENGTH or secret in self._secrets:
            return
        encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
        # Longest first: a secret that holds another one is blotted out whole.
        self._secrets = tuple(sorted({*self._secrets, secret, encoded}, key=len, reverse=True))

    def redact(self, text: str) -> str:
        """Return `text` without any known secret."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MARK)
        return text
