"""Structured logs on stderr: a fixed message with fields, as JSON (ECS names) or as text. No secret passes."""

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
#: Members of a line that never hold anything but our own words.
_OURS = frozenset({"@timestamp", "log.level", "log.logger"})
_encode = json.JSONEncoder(default=str, ensure_ascii=False).encode
#: What JSON leaves as it is, and a terminal obeys, a reader takes for the end of a line, or UTF-8 has not.
_UNTOLD = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def log(logger: logging.Logger, level: int, message: str, **fields: Any) -> None:
    """Log the fixed `message` with `fields`; those that are None are left out."""
    if logger.isEnabledFor(level):
        known = {name: value for name, value in fields.items() if value is not None}
        logger.log(level, message, extra={_FIELDS: known})


def set_up_logs(*, form: str, level: str, redactor: Redactor) -> None:
    """Send all logs of this process to stderr, as `json` or `text`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(redactor) if form == "json" else _TextFormatter(redactor))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # No line tells them, and finding them out takes longer than the rest (Logging HOWTO, "Optimization").
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - as the HOWTO says
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    # Its warnings quote heads that it cannot parse, with the cookies in them.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line, in the names of the Elastic Common Schema."""

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
        told = _encode(line)
        # One look at all of it: with hundreds of integrations there are hundreds of secrets.
        if self._redactor.may_be_in(told):
            told = _encode({**line, **self._redacted(line)})
        return _UNTOLD.sub(lambda found: f"\\u{ord(found[0]):04x}", told)

    def _redacted(self, line: dict[str, Any]) -> dict[str, Any]:
        """Return the members that can hold text of others, without secrets; before JSON escapes what is in them."""
        redact = self._redactor.redact
        texts = {name: value for name, value in line.items() if isinstance(value, str) and name not in _OURS}
        lists = {name: [str(one) for one in value] for name, value in line.items() if isinstance(value, list)}
        return {
            **{name: redact(value) for name, value in texts.items()},
            **{name: [redact(one) for one in value] for name, value in lists.items()},
        }


class _TextFormatter(logging.Formatter):
    """A line for people: time, level, message, fields."""

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
    # Texts of others may hold what a terminal obeys, or takes for the end of a line.
    return json.dumps(text, ensure_ascii=not text.isprintable())
