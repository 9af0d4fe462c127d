"""The last defence against secrets in logs and error texts: every value that was read as a secret is redacted."""

from __future__ import annotations

import base64
import json

MARK = "[redacted]"
#: Shorter values would redact ordinary words.
_MIN_LENGTH = 4


def _in_base64(secret: bytes) -> list[str]:
    """Return the base64 of `secret` as it appears inside a longer text, for each position in a group of three bytes.

    Characters at the ends that depend on the neighbouring bytes are left out.
    """
    found = []
    for before in range(3):
        after = -(before + len(secret)) % 3
        text = base64.b64encode(bytes(before) + secret + bytes(after)).decode()
        # The number of characters that contain bits of the 0, 1 or 2 bytes before or after the secret.
        first, last = (0, 2, 3)[before], len(text) - (0, 2, 3)[after]
        found.append(text[first:last])
    return [text for text in found if len(text) >= _MIN_LENGTH]


class Redactor:
    """Removes the secrets of this process from text."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        #: The secrets as JSON escapes them.
        self._in_json: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Add `secret`, also as it appears in the base64 of a text that contains it, such as `user:password`."""
        if len(secret) < _MIN_LENGTH or secret in self._secrets:
            return
        whole = base64.b64encode(secret.encode()).decode().rstrip("=")
        known = {*self._secrets, secret, whole, *_in_base64(secret.encode())}
        # Longest first: a secret that contains another one is redacted completely.
        self._secrets = tuple(sorted(known, key=len, reverse=True))
        self._in_json = tuple(json.dumps(secret, ensure_ascii=False)[1:-1] for secret in self._secrets)

    def may_occur_in(self, text: str) -> bool:
        """Return whether `text`, JSON that does not escape characters beyond ASCII, can contain a secret."""
        return any(secret in text for secret in self._in_json)

    def redact(self, text: str) -> str:
        """Return `text` with all secrets redacted."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MARK)
        return text
