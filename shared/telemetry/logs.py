"""Logs: one JSON line each, with a stable `action`.

In:    standard logging records; `extra={"action": ..., ...}`; which request is being worked on.
Out:   lines on standard error: time, level, service, action, message, request and trace id where a request is worked
       on, whatever else the record carries.
Never: print; a record without an action (a library's record gets `library`); a secret: what looks like one, or has the
       name of one, is masked.
"""

import logging
import re
import sys
from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.names import actions
from shared.names.headers import SECRET_HEADERS

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS = ("services", "shared", "deploy")
# aiokafka tells of every retry while a broker is away; our own lines say it once
_NOISY = ("aiokafka", "faust", "mode", "kafka", "asyncio", "aiohttp.access")
MASKED = "[masked]"
_SECRET_NAMES = SECRET_HEADERS | {"password", "secret", "token", "cluster_key"}
# tokens of ours, of others after the name of their scheme, passwords in addresses, JWTs: these are looked for once in
# each run of their letters, not from each `eyJ`: callers' words stand in messages, and may be of nothing else
_SECRETS = re.compile(
    r"\bweir_[\w-]{30,}|(?<=\bBearer )\S+|(?<=\bBasic )\S+|(?<=://)[^/@\s]+(?=@)"
    r"|(?<![\w-])(?=[\w-]*?\beyJ)[\w-]++\.[\w-]++\.[\w-]*", re.IGNORECASE)
_about: ContextVar[dict[str, str] | None] = ContextVar("about", default=None)
# lines of level warning and above, by level and action; the metrics show them
told: Counter[tuple[str, ...]] = Counter()


def about_request(request_id: str | None = None, trace_id: str = "") -> None:
    """From here on this task, and those it starts, work on a request: its ids stand on every line. None ends that."""
    _about.set(None if request_id is None else {"request_id": request_id, "trace_id": trace_id})


class JsonLines(logging.Formatter):
    """Writes a record as one JSON line; `service` and `instance` are on every line."""

    def __init__(self, fixed: Mapping[str, str]) -> None:
        """`fixed`: members of every line."""
        super().__init__()
        self._fixed = dict(fixed)

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        more = {key: _masked(key, value) for key, value in vars(record).items() if key not in _STANDARD}
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(), **self._fixed, "action": actions.LIBRARY,
            "message": _SECRETS.sub(MASKED, record.getMessage()), **(_about.get() or {}), **more}
        if record.name.partition(".")[0] not in _OURS:
            line["logger"] = record.name
        if record.exc_info:
            line["error"] = _SECRETS.sub(MASKED, self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


def _masked(key: str, value: Any) -> Any:
    if key.lower() in _SECRET_NAMES:
        return MASKED
    return _SECRETS.sub(MASKED, value) if isinstance(value, str) else value


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
        if record.levelno >= logging.WARNING:
            told[record.levelname.lower(), str(getattr(record, "action", actions.LIBRARY))] += 1
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
    logging.getLogger().handlers[:] = [handler]
    set_level(level)


def set_level(level: str) -> None:
    """From now on, tell what is of this level or above."""
    logging.getLogger().setLevel(level.upper())
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.ERROR if noisy == "aiokafka" else logging.WARNING)
