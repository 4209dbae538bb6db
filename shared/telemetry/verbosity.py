"""How much a process tells, changed while it runs.

In:    what the config topic says of log levels.
Out:   the level of this process's log, for as long as was said.
Never: a level that outlives its end: whoever wants to know more says until when.
"""

import asyncio
import logging
from collections.abc import Sequence

from shared.clock import SystemClock
from shared.contracts.config import EVERY_SERVICE, Entity, LogLevel
from shared.names import actions
from shared.telemetry import logs

log = logging.getLogger(__name__)


class Verbosity:
    """Of one process; there is one, as there is one log."""

    def __init__(self) -> None:
        """Changes nothing until it is told whose it is."""
        self._service, self._usual = "", ""
        self._wanted: dict[str, LogLevel] = {}
        self._clock = SystemClock()
        self._timer: asyncio.TimerHandle | None = None

    def belongs_to(self, service: str, usual: str) -> None:
        """Whose it is, and the level that it has unless something else is said."""
        self._service, self._usual = service, usual

    def take(self, entities: Sequence[Entity]) -> None:
        """Take in what the config topic says."""
        found = {entity.name: entity for entity in entities if isinstance(entity, LogLevel)}
        if self._service and found.keys() & {self._service, EVERY_SERVICE}:
            self._wanted |= found
            self._apply()

    def _apply(self) -> None:
        """The newest word on this service or on all of them counts, until its time is over."""
        now_ms = self._clock.now_ms()
        known = [self._wanted[name] for name in (self._service, EVERY_SERVICE)
                 if name in self._wanted and self._wanted[name].until > now_ms]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        level = self._usual
        if known:
            newest = max(known, key=lambda one: one.time)
            level = newest.level
            wait_s = (newest.until - now_ms) / 1000
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._apply)
        logs.set_level(level)
        log.warning("the log tells what is of level %s or above", level, extra={"action": actions.LOG_LEVEL})


VERBOSITY = Verbosity()
