"""Structured logs on stderr: a fixed message with fields, as JSON (with ECS names) or as text. Secrets are redacted."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import datetime
from typing import Any

from relay.core.redact import Redactor
from relay.core.values import format_time

_FIELDS = "relay_fields"
#: Members that only contain the relay's own words and need no redaction.
_TRUSTED = frozenset({"@timestamp", "log.level", "log.logger"})
_encode = json.JSONEncoder(default=str, ensure_ascii=False).encode
#: Characters that JSON does not escape, but that control a terminal, end a line, or cannot be encoded in UTF-8.
_ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def log(logger: logging.Logger, level: int, message: str, **fields: Any) -> None:
    """Log the fixed `message` with `fields`. Fields that are None are left out."""
    if logger.isEnabledFor(level):
        given = {name: value for name, value in fields.items() if value is not None}
        logger.log(level, message, extra={_FIELDS: given})


def set_up_logs(*, form: str, level: str, redactor: Redactor) -> None:
    """Send all logs of this process to stderr, as `json` or `text`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(redactor) if form == "json" else _TextFormatter(redactor))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # No line shows these, and they take longer to find than all the rest (Logging HOWTO, "Optimization").
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - recommended by the HOWTO
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    # urllib3's warnings quote headers that it cannot parse, including their cookies.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


class _JsonFormatter(logging.Formatter):
    """One JSON object per line, with names of the Elastic Common Schema."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "@timestamp": format_time(int(record.created * 1000)),
            "log.level": record.levelname.lower(),
            "message": record.getMessage(),
            "log.logger": record.name,
            "process.pid": record.process,
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["error.stack_trace"] = self.formatException(record.exc_info)
        encoded = _encode(line)
        # Search the whole line once first: hundreds of integrations have hundreds of secrets.
        if self._redactor.may_occur_in(encoded):
            encoded = _encode({**line, **self._redacted(line)})
        return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", encoded)

    def _redacted(self, line: dict[str, Any]) -> dict[str, Any]:
        """Return the members that can contain foreign text, redacted before JSON escapes their characters."""
        redact = self._redactor.redact
        texts = {name: value for name, value in line.items() if isinstance(value, str) and name not in _TRUSTED}
        lists = {name: map(str, value) for name, value in line.items() if isinstance(value, list)}
        return {
            **{name: redact(value) for name, value in texts.items()},
            **{name: [redact(value) for value in values] for name, values in lists.items()},
        }


class _TextFormatter(logging.Formatter):
    """One line for people: time, level, message, fields."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        shown = " ".join(f"{name}={_quoted(value)}" for name, value in getattr(record, _FIELDS, {}).items())
        line = f"{at} {record.levelname:<7} {record.getMessage()}  {shown}".rstrip()
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return self._redactor.redact(line)


def _quoted(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not any(c in text for c in ' "'):
        return text
    # Foreign text can contain characters that control a terminal or end a line.
    return json.dumps(text, ensure_ascii=not text.isprintable())
