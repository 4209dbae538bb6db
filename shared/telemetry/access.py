"""A line per answered request, of some of them.

In:    how a request ended.
Out:   log lines with the action `request-ended`.
Never: a line per request under load; a path, an address, a header or a body: a route and ids say enough.

A part of all requests gets a line. Those that failed (500 and above) get one whatever that part is, but only so many a
second: when everything fails, the metrics say how much does.
"""

import logging
import random

from msgspec import Struct

from shared.names import actions

log = logging.getLogger(__name__)
_MOST_FAILURES_A_SECOND = 20


class Ending(Struct, frozen=True, kw_only=True):
    """How a request ended, where it was answered. `source`: edge or internal; `reason` is empty where none is known."""

    request_id: str
    trace_id: str
    project: str
    operation: str
    method: str
    source: str
    status: int
    took_us: int
    reason: str = ""


class AccessLog:
    """Decides who gets a line, and writes it."""

    def __init__(self, ratio: float) -> None:
        """`ratio`: the part of all requests, from 0 to 1."""
        self._ratio = ratio
        self._second, self._failures = 0, 0

    def wants(self, status: int, now_us: int) -> bool:
        """Whether a request with this answer gets a line; asked once for each, before anything is built for it."""
        if status >= 500 and self._ratio > 0:
            second = now_us // 1_000_000
            if second != self._second:
                self._second, self._failures = second, 0
            self._failures += 1
            if self._failures <= _MOST_FAILURES_A_SECOND:
                return True
        return random.random() < self._ratio

    def note(self, ending: Ending) -> None:
        """Write the line."""
        log.info("%s %s/%s %d in %.1f ms", ending.method, ending.project or "-", ending.operation or "-", ending.status,
                 ending.took_us / 1000, extra={
                     "action": actions.REQUEST_ENDED, "request_id": ending.request_id, "trace_id": ending.trace_id,
                     "project": ending.project, "operation": ending.operation, "source": ending.source,
                     "status": ending.status, "took_us": ending.took_us,
                     **({"reason": ending.reason} if ending.reason else {})})
