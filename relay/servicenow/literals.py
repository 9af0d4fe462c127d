"""Texts of a mapping file inside JavaScript: escaped, so that no text ends the literal or the comment that contains it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

#: Unicode's control, format, surrogate, private, and line and paragraph separator characters.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def literal(value: Any) -> str:
    """Return a JSON value as JavaScript, in ASCII."""
    text = json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")
    return text.replace("</", "<\\/").replace("*/", "*\\/")


def object_literal(members: Mapping[str, Any]) -> str:
    """Return an object with a line for each member, also in the objects that it contains."""
    lines = []
    for name, value in members.items():
        text = _nested(value) if isinstance(value, Mapping) and value else literal(value)
        lines.append(f"    {literal(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}"


def comment_text(text: str) -> str:
    """Return text for one line of a `/* … */` comment; what would end the line or the comment is escaped."""
    shown = "".join(_escape(each) if unicodedata.category(each) in _UNSHOWN else each for each in text)
    return shown.replace("*/", "*\\u002f")


def _nested(members: Mapping[str, Any]) -> str:
    lines = [f"        {literal(name)}: {literal(value)}" for name, value in members.items()]
    return "{\n" + ",\n".join(lines) + "\n    }"


def _escape(character: str) -> str:
    escaped = json.dumps(character)[1:-1]
    return escaped if escaped != character else f"\\u{ord(character):04x}"
