"""The life of a service process: start, signals, drain, stop.

In:    a coroutine that builds the service inside the loop.
Out:   an exit code: 0 drained, 1 failed.
Never: what the parts are.
"""

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import uvloop

from shared.names import actions
from shared.names.metrics import LOG_LINES
from shared.runtime import descriptors
from shared.runtime.health import Health
from shared.runtime.pulse import Pulse
from shared.runtime.tasks import Tasks
from shared.settings.service import ServiceSettings
from shared.settings.wrong import told
from shared.telemetry import logs
from shared.telemetry.verbosity import VERBOSITY

# new objects before the collector looks for cycles; a request leaves none behind
_COLLECT_AFTER = 20_000
# what has stopped ends within this time
_LINGER_S = 5.0
Own = TypeVar("Own")
log = logging.getLogger(__name__)


class Part(Protocol):
    """Something with a beginning and an end."""

    async def start(self) -> None:
        """Be of use once this returns."""

    async def stop(self) -> None:
        """Finish what is under way, then let go. Called even when `start` failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Parts in starting order; they stop in the reverse order."""

    parts: Sequence[Part]
    health: Health
    tasks: Tasks


def run_service(name: str, kind: type[Own], build: Callable[[ServiceSettings, Own], Awaitable[Service]]) -> int:
    """Run one process until a signal or a failed task; the exit code says whether it drained.

    `kind`: the service's own settings, which `build` gets beside those of every service.
    """
    descriptors.take_all()
    try:
        settings, own = ServiceSettings(), kind()
    except ValueError as exc:
        logs.configure(name, "", "INFO")
        return _not_begun(name, exc)
    logs.configure(name, settings.instance, settings.log_level)
    VERBOSITY.belongs_to(name, settings.log_level)
    return uvloop.run(_live(name, settings, lambda: build(settings, own)))


def _not_begun(name: str, error: Exception) -> int:
    """What somebody can mend is said without the way through the code that led there."""
    said = told(error, os.environ)
    if said is None:
        log.error("%s cannot start: %s", name, error, exc_info=error, extra={"action": actions.SERVICE_FAILED})
    else:
        log.error("%s cannot start: %s", name, said.replace("\n", "; "), extra={"action": actions.SERVICE_FAILED})
    sys.stderr.flush()
    return 1


async def _live(name: str, settings: ServiceSettings, build: Callable[[], Awaitable[Service]]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log.info("%s is starting", name, extra={"action": actions.SERVICE_STARTING})
    try:
        service = await build()
    except Exception as exc:
        return _not_begun(name, exc)
    metrics = service.health.metrics
    metrics.read(LOG_LINES, lambda: logs.told)
    pulse = Pulse(service.tasks, metrics, settings.hang_ms / 1000)
    started: list[Part] = []
    try:
        for part in (pulse, *service.parts):
            started.append(part)
            if not await _unless_stopped(part.start(), stop):
                break
        if not stop.is_set():
            _spare_the_collector()
            service.health.not_ready_because = None
            log.info("%s is ready", name, extra={"action": actions.SERVICE_READY})
        code = await _until_over(name, stop, service.tasks)
    except Exception as exc:
        log.exception("%s failed: %s", name, exc, extra={"action": actions.SERVICE_FAILED})
        sys.stderr.flush()
        code = 1
    service.health.not_ready_because = "stopping"
    await _stop(name, started, service.tasks, settings.drain_ms / 1000)
    # a thread of a library that waits for a broker which hangs would keep the process, of which nothing is left
    faulthandler.dump_traceback_later(_LINGER_S, exit=True, file=sys.__stderr__ or sys.stderr)
    return code


def _spare_the_collector() -> None:
    """What was built at the start lives as long as the process: the collector need not walk it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)


async def _unless_stopped(work: Awaitable[None], stop: asyncio.Event) -> bool:
    """Await `work`, or give it up when the stop signal comes first."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False
    task.result()
    return True


async def _until_over(name: str, stop: asyncio.Event, tasks: Tasks) -> int:
    stopped = asyncio.ensure_future(stop.wait())
    ends: set[asyncio.Future[Any]] = {stopped, tasks.failed}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not tasks.failed.done():
        return 0
    # not every failure is a task's, which has told of it; and whoever reads a log begins at its end
    log.error("%s ends: %r", name, tasks.failed.result(), extra={"action": actions.SERVICE_FAILED})
    return 1


async def _stop(name: str, parts: Sequence[Part], tasks: Tasks, drain_s: float) -> None:
    log.info("%s is stopping", name, extra={"action": actions.SERVICE_STOPPING})
    for part in reversed(parts):
        try:
            await asyncio.wait_for(part.stop(), drain_s)
        except Exception as exc:
            # one part that does not stop must not keep the others from letting go
            log.warning("%s did not stop: %r", type(part).__name__, exc, extra={"action": actions.SERVICE_FAILED})
    await tasks.stop()
    log.info("%s has stopped", name, extra={"action": actions.SERVICE_STOPPED})
