"""The last net against secrets in logs and error texts: every value that was read as a secret is blotted out."""

from __future__ import annotations

import base64
import json

MARK = "[redacted]"
#: Shorter values would blot out ordinary words.
_LEAST_LENGTH = 4


def _in_base64(secret: bytes) -> list[str]:
    """Return what the base64 of a text with `secret` in it holds, wherever in groups of three bytes the secret begins.

    The letters at its ends depend on its neighbours, too, and are left out.
    """
    found = []
    for before in range(3):
        after = -(before + len(secret)) % 3
        text = base64.b64encode(bytes(before) + secret + bytes(after)).decode()
        # So many letters hold bits of the 0, 1 or 2 bytes before it, or after it.
        first, last = (0, 2, 3)[before], len(text) - (0, 2, 3)[after]
        found.append(text[first:last])
    return [text for text in found if len(text) >= _LEAST_LENGTH]


class Redactor:
    """Knows the secrets of this process, and blots them out of text."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        #: As JSON escapes them.
        self._in_json: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Remember `secret`, as it is and as it shows in the base64 of any text that it is part of, such as `user:password`."""
        if len(secret) < _LEAST_LENGTH or secret in self._secrets:
            return
        whole = base64.b64encode(secret.encode()).decode().rstrip("=")
        known = {*self._secrets, secret, whole, *_in_base64(secret.encode())}
        # Longest first: a secret that holds another one is blotted out whole.
        self._secrets = tuple(sorted(known, key=len, reverse=True))
        self._in_json = tuple(json.dumps(secret, ensure_ascii=False)[1:-1] for secret in self._secrets)

    def may_occur_in(self, told: str) -> bool:
        """Tell whether a known secret may stand in `told`, JSON that leaves characters beyond ASCII as they are."""
        return any(secret in told for secret in self._in_json)

    def redact(self, text: str) -> str:
        """Return `text` without any known secret."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MARK)
        return text
