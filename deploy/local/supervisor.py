"""Bring the local cluster up, keep it up, take it down.

In:    a `ClusterPlan`.
Out:   running processes, `cluster.json`, a line for whatever a person should know.
Never: a process left behind; a restart that nobody hears of.
"""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import aiohttp

from deploy.local import child, ports, state
from deploy.local.cluster import ClusterPlan, ProcessPlan
from deploy.local.faults import AlreadyRunning, DidNotStart, LocalFault, NoWriteRight
from shared.errors import WeirError
from shared.kafka.topics import ensure_topics
from shared.settings.kafka import KafkaSettings

# a broker takes seconds, and more than a minute where the machine has much else to do
_READY_S = 180.0
_LOOK_S = 0.15
_STOP_S = 15.0
# a process that is asked this often and leaves so many questions in a row without an answer is stopped, or hangs;
# seconds would not tell: where the machine had no time for us, nobody has asked
_LISTEN_S, _UNANSWERED = 2.0, 4
_MOST_EARLY_ENDS = 4
Say = Callable[[str], None]


class Supervisor:
    """Owns every process of the cluster."""

    def __init__(self, plan: ClusterPlan, say: Say, resized: Callable[[], ClusterPlan]) -> None:
        """`say` prints a line for a person; `resized` tells the plan that is wanted now, once SIGHUP has come."""
        self._plan, self._say, self._resized = plan, say, resized
        # whatever should run, by name
        self._wanted: dict[str, ProcessPlan] = {}
        self._state = state.ClusterState(supervisor=state.myself("supervisor"))
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stop, self._resize = asyncio.Event(), asyncio.Event()
        self._lock: int | None = None

    async def run(self, when_ready: Callable[[], Awaitable[None]]) -> None:
        """Live until a signal. Raises a `LocalFault` when the cluster cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._resize.set)
        self._claim()
        try:
            await self._unless_stopped(self._start())
            if not self._stop.is_set():
                self._note("ready")
                await self._unless_stopped(when_ready())
            while not self._stop.is_set():
                await self._unless_stopped(self._resize.wait())
                if self._resize.is_set():
                    self._resize.clear()
                    await self._unless_stopped(self._follow())
        finally:
            await self._take_down()

    def _claim(self) -> None:
        folder = self._plan.state_dir
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "supervisor.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as exc:
            raise NoWriteRight(f"the state folder {folder} cannot be written ({exc.strerror}); "
                               "choose another one with WEIR_STATE_DIR") from exc
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"a cluster runs already with state folder {folder}: `weir status` shows it, "
                                 "`weir down` stops it") from None
        ended = state.end_leftovers(folder, _STOP_S)
        if ended:
            self._say(f"ended what an earlier run left behind: {', '.join(ended)}")
        ports.check(self._plan.ports())

    async def _start(self) -> None:
        plan = self._plan
        foundation = []
        if plan.broker is not None:
            self._say("starting Apache Kafka")
            await asyncio.to_thread(plan.broker.prepare)
            foundation.append(ProcessPlan(name="kafka", argv=plan.broker.command(), port=plan.broker.port))
        if plan.store is not None:
            foundation.append(ProcessPlan(name="valkey", argv=plan.store.command(), port=plan.store.port))
        await self._bring_up(foundation)
        try:
            await ensure_topics(KafkaSettings(bootstrap=plan.bootstrap), timeout_s=_READY_S)
        except WeirError as exc:
            words = self._words("kafka") if plan.broker is not None else ""
            raise DidNotStart(f"no topics could be made: {exc}{words}") from exc
        self._say(f"starting {', '.join(service.name for service in plan.services)}")
        await self._bring_up(plan.services)

    async def _follow(self) -> None:
        """Run what is wanted now, and say what came of it."""
        try:
            await self._change({plan.name: plan for plan in self._resized().services})
            self._state.fault = ""
        except LocalFault as exc:
            self._state.fault = str(exc)
            self._say(f"the cluster keeps its size: {exc}")
        self._state.resized += 1
        self._note("ready")

    async def _change(self, wanted: Mapping[str, ProcessPlan]) -> None:
        """New processes first, then those anew that are told something else, then fewer. Raises a `LocalFault`."""
        known = {plan.name: plan for plan in self._plan.services}
        added = [plan for name, plan in wanted.items() if name not in known]
        taken = {number for plan in known.values() for number in plan.ports}
        ports.check({number: use for plan in added for number, use in plan.ports.items() if number not in taken})
        try:
            await self._bring_up(added)
        except LocalFault:
            await self._end([plan.name for plan in added])
            raise
        self._plan = replace(self._plan, services=list(wanted.values()))
        for name in [name for name, plan in known.items() if plan != wanted.get(name, plan)]:
            # one after the other: the rest works on
            await self._begin_anew(wanted[name])
        await self._end([name for name in known if name not in wanted])
        self._say(f"now running: {', '.join(wanted)}")

    async def _end(self, names: Sequence[str]) -> None:
        """For good."""
        for name in names:
            del self._wanted[name]
        await asyncio.gather(*(child.stop(self._running.pop(name), _STOP_S) for name in names if name in self._running))
        self._state.processes = [process for process in self._state.processes if process.name not in names]

    async def _begin_anew(self, plan: ProcessPlan) -> None:
        self._wanted[plan.name] = plan
        before = self._running[plan.name]
        await child.stop(before, _STOP_S)
        while True:
            if self._running[plan.name] is not before and await is_ready(plan.ready_url, plan.port):
                return
            await asyncio.sleep(_LOOK_S)

    async def _bring_up(self, plans: Sequence[ProcessPlan]) -> None:
        first_times = []
        for plan in plans:
            up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            first_times.append(up)
            self._wanted[plan.name] = plan
            self._keepers.append(asyncio.ensure_future(self._keep(plan.name, up)))
        if first_times:
            await asyncio.gather(*first_times)

    async def _keep(self, name: str, up: asyncio.Future[None]) -> None:
        """Start a process again and again, as long as it is wanted; `up` is done when it has been ready once, or failed
        for good."""
        log, failures, restarts = self._plan.state_dir / "logs" / f"{name}.log", 0, 0
        while not self._stop.is_set() and name in self._wanted:
            plan, began, begin = self._wanted[name], time.monotonic(), child.size_of(log)
            process = await child.start(plan.argv, plan.env, log)
            self._running[plan.name] = process
            known = state.started(plan.name, process.pid, ready_url=plan.ready_url, log=str(log), port=plan.port)
            known.restarts = restarts
            self._put(known)
            waiter = asyncio.ensure_future(self._attend(plan, known, up, process))
            code = await process.wait()
            waiter.cancel()
            if self._stop.is_set() or name not in self._wanted:
                return
            known.state = "down"
            self._put(known)
            failures = 1 if time.monotonic() - began > child.HEALTHY_S else failures + 1
            if not up.done() and failures >= _MOST_EARLY_ENDS:
                up.set_exception(DidNotStart(f"{plan.name} does not start (exit code {code}){self._words(plan.name)}"))
                return
            if plan is not self._wanted[name]:
                # it was ended for this
                failures = 0
                continue
            pause, restarts = child.backoff_s(failures), restarts + 1
            self._say(child.told_end(plan.name, code, log, begin, pause))
            await asyncio.sleep(pause)

    async def _attend(self, plan: ProcessPlan, known: state.ProcessState, up: asyncio.Future[None],
                      process: asyncio.subprocess.Process) -> None:
        """Wait until it is ready; from then on end it when it does not answer any more, so that it begins anew."""
        await self._await_ready(plan, known, up)
        if plan.ready_url is None or known.state != "up":
            return
        heard, unanswered = time.monotonic(), 0
        while unanswered < _UNANSWERED:
            await asyncio.sleep(_LISTEN_S)
            if await answers(plan.ready_url.replace("/-/ready", "/-/live")):
                heard, unanswered = time.monotonic(), 0
            else:
                unanswered += 1
        self._say(f"{plan.name} has not answered for {time.monotonic() - heard:.0f} s; ending it")
        process.kill()

    async def _await_ready(self, plan: ProcessPlan, known: state.ProcessState, up: asyncio.Future[None]) -> None:
        deadline = time.monotonic() + _READY_S
        while not await is_ready(plan.ready_url, plan.port):
            if time.monotonic() > deadline and not up.done():
                up.set_exception(DidNotStart(
                    f"{plan.name} was not ready within {_READY_S:g} s{self._words(plan.name)}"))
                return
            await asyncio.sleep(_LOOK_S)
        known.state = "up"
        self._put(known)
        if not up.done():
            up.set_result(None)

    def _words(self, name: str) -> str:
        log = self._plan.state_dir / "logs" / f"{name}.log"
        words = child.last_words(log)
        return f"; its last line was: {words} (log: {log})" if words else ""

    def _put(self, known: state.ProcessState) -> None:
        others = [process for process in self._state.processes if process.name != known.name]
        self._state.processes = sorted([*others, known], key=lambda process: process.name)
        self._state.save(self._plan.state_dir)

    def _note(self, word: str) -> None:
        self._state.state = word
        self._state.save(self._plan.state_dir)

    async def _unless_stopped(self, work: Awaitable[object]) -> None:
        task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            task.result()
        else:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _take_down(self) -> None:
        """Services first, all at once; then the store and the broker, which they need to finish."""
        self._stop.set()
        if self._lock is None or not self._running:
            return
        self._note("stopping")
        self._say("stopping")
        last = [name for name in ("valkey", "kafka") if name in self._running]
        await asyncio.gather(*(child.stop(process, _STOP_S) for name, process in self._running.items()
                               if name not in last))
        await asyncio.gather(*(child.stop(self._running[name], _STOP_S) for name in last))
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        (self._plan.state_dir / state.FILE).unlink(missing_ok=True)
        self._say("stopped")


async def answers(url: str) -> bool:
    """Whether a process answers at all, whatever it says."""
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_LISTEN_S)) as session, session.get(url):
            return True
    except (OSError, aiohttp.ClientError, TimeoutError):
        return False


async def is_ready(url: str | None, port: int) -> bool:
    """Whether a process answers that it is ready."""
    return await why_not_ready(url, port) is None


async def why_not_ready(url: str | None, port: int) -> str | None:
    """What a process says; None when it is ready. One without a URL is ready when its port takes a connection."""
    try:
        if url is None:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return None
        timeout = aiohttp.ClientTimeout(total=3)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return None if answer.status == 200 else str((await answer.json())["reason"])
    except (OSError, aiohttp.ClientError, TimeoutError, ValueError, KeyError):
        return "it does not answer"
