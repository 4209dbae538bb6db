"""Logs: one JSON line each, with a stable `action`.

In:    standard logging records; `extra={"action": ..., ...}`.
Out:   lines on standard error: time, level, service, action, message, whatever else the record carries.
Never: print; a record without an action (a library's record gets `library`).
"""

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.names import actions

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS = ("services", "shared", "deploy")


class JsonLines(logging.Formatter):
    """Writes a record as one JSON line; `service` and `instance` are on every line."""

    def __init__(self, fixed: Mapping[str, str]) -> None:
        """`fixed`: members of every line."""
        super().__init__()
        self._fixed = dict(fixed)

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(), **self._fixed, "action": actions.LIBRARY, "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.name.partition(".")[0] not in _OURS:
            line["logger"] = record.name
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class OncePerWhile(logging.Filter):
    """Lets a library say the same thing once per while: clients repeat themselves many times a second while a broker
    is away."""

    def __init__(self, while_s: float = 5.0) -> None:
        """`while_s`: for how long a repetition is dropped."""
        super().__init__()
        self._while_s = while_s
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record goes on."""
        key = (record.name, str(record.msg))
        if record.name.partition(".")[0] in _OURS or record.created - self._last.get(key, 0) > self._while_s:
            self._last[key] = record.created
            return True
        return False


def configure(service: str, instance: str, level: str) -> None:
    """Send all logging of this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(OncePerWhile())
    handler.setFormatter(JsonLines({"service": service, "instance": instance}))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # aiokafka tells of every retry while a broker is away; our own lines say it once
    for noisy in ("aiokafka", "faust", "mode", "kafka", "asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.ERROR if noisy == "aiokafka" else logging.WARNING)
