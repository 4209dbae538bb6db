"""Random lives of executions on executors that die, are taken over from, are told to stop or to end what they run.

However that goes: each execution ends once for whoever waits for it and for whoever counts, its tasks are those of its
steps, and nothing of it is left, neither in an executor nor among those that wait in the store. Only what an executor
had not finished when another one took its place is delivered again, and may end again.
"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from services.executor import endings, keeping, pauses, waker
from services.executor.endings import Endings
from services.executor.inbox import Stage
from services.executor.journal import Journals
from services.executor.keeping import Keeping
from services.executor.outside.client import Request, Response
from services.executor.outside.credentials import Credentials
from services.executor.parts import ExecutorParts
from services.executor.progress import Progress
from services.executor.scene import StorageBounds, Surroundings
from services.executor.scripts import Scripts
from services.executor.settings import ExecutorSettings
from services.executor.shelf import Shelf
from services.executor.traces import ExecutorTraces
from services.executor.waker import Waker
from shared.clock import SystemClock
from shared.contracts.codec import header_map
from shared.contracts.config import Halt, ProjectVersion
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import ReplyAddress
from shared.contracts.usage import UsageEvent
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.record import Record
from shared.names import topics
from shared.runtime.tasks import Tasks
from shared.store import waiting
from shared.store.cancels import cancel
from shared.store.redis import Store, StoreUnavailable
from shared.telemetry.access import AccessLog
from shared.telemetry.metrics import Metrics
from shared.telemetry.tracing import Tracing
from tests.support.fakes import FakeRecord, Headers
from tests.support.platform import eventually
from tests.support.stores import running
from tests.unit.services.executor.test_run import nobody

Json = dict[str, Any]
ANSWER: Json = {"id": "answer", "reply": {"body": 1}}


def call(name: str, **more: Any) -> Json:
    return {"id": name, "http": {"method": "POST", "url": "http://outside.example/", "body": 1}, **more}


def pause(name: str, ms: int) -> Json:
    return {"id": name, "delay": {"for": f"{ms}ms"}}


# steps, and the tasks that they cost; those that are called cost three
DURABLE: dict[str, tuple[list[Json], int]] = {
    "short": ([call("a"), pause("p", 8), call("b"), ANSWER], 5),
    "parks": ([call("a"), pause("p", 70), call("b"), pause("q", 60), ANSWER], 6),
    "calls": ([{"id": "c", "call": {"workflow": "pausing"}}, call("a"), ANSWER], 7),
    "both": ([{"id": "x", "parallel": {"branches": {"a": [pause("p", 60), call("a")], "b": [call("b")]}}}, ANSWER], 6),
    "loops": ([{"id": "l", "loop": {"over": [1, 2, 3], "concurrency": 2, "steps": [call("a"), pause("p", 50)]}},
               ANSWER], 9),
    "retries": ([call("a", retry={"attempts": 3, "delay": "40ms"}), pause("p", 50), ANSWER], 4),
    "far": ([call("a"), pause("p", 50_000), ANSWER], 4)}
EXPRESS: dict[str, tuple[list[Json], int]] = {
    "quick": ([{"id": "t", "transform": {"value": 1}}, ANSWER], 3),
    "slow": ([pause("p", 8), call("a"), ANSWER], 4),
    "leaves": ([{"id": "c", "call": {"workflow": "pausing", "wait": False}}, pause("p", 3), ANSWER], 7)}
KNOWN = {**DURABLE, **EXPRESS}
PAUSING = [call("ca"), pause("cp", 60), {"id": "back", "reply": {"body": 1}}]
PROJECT = {"name": "p", "workflows": {
    **{name: {"name": name, "steps": steps, "durable": name in DURABLE} for name, (steps, _) in KNOWN.items()},
    "pausing": {"name": "pausing", "steps": PAUSING, "durable": True}},
    "operations": [{"name": name, "method": "POST", "path": f"/{name}", "workflow": name} for name in KNOWN]}


class World:
    """What executors share: the topic of executions and what has come of them, the store, an outside system."""

    def __init__(self, store: Store) -> None:
        self.store, self.broken = store, False
        self.log: list[FakeRecord] = []
        self.finished: set[int] = set()
        self.began: dict[str, ExecutionRecord] = {}
        self.usage: dict[str, list[UsageEvent]] = defaultdict(list)
        self.replies: dict[str, list[int]] = defaultdict(list)
        self.resumed: Counter[str] = Counter()
        self.again: set[str] = set()
        self.halted: set[str] = set()
        self.executors: list[Executor] = []

    def write(self, value: bytes | None, headers: Headers) -> None:
        record = FakeRecord(topics.EXECUTIONS, 0, len(self.log), int(time.time() * 1000), value=value,
                            headers=[*headers])
        self.log.append(record)
        self.executors[-1].take([record])

    def open(self) -> list[FakeRecord]:
        return [record for record in self.log if record.offset not in self.finished]

    def take_over(self) -> None:
        """Another executor gets what is not finished."""
        left = self.open()
        self.again |= {ExecutionRecord.from_headers(header_map(one.headers), b"").request_id for one in left}
        self.executors.append(Executor(self))
        self.executors[-1].take(left)

    def start(self, operation: str, *, awaited: bool) -> None:
        now_ms, execution = int(time.time() * 1000), f"e{len(self.began)}"
        address = ReplyAddress(correlation_id=execution.encode(), topic=topics.REPLIES, partition=3)
        record = ExecutionRecord(
            request_id=execution, project="p", version=1, operation=operation, client="c", source="edge",
            origin=Origin("t", 0, len(self.began)), deadline_ms=now_ms + 60_000, keep_ms=100_000,
            reply_to=address if awaited else None)
        self.began[execution] = record
        self.write(b"", record.to_headers())

    def running(self) -> list[str]:
        return [name for name in self.began if len(self.usage[name]) <= self.resumed[name]]

    async def cancel(self, execution: str) -> None:
        await cancel(self.store, execution, "operator")
        await waiting.wake(self.store, execution, int(time.time() * 1000))

    async def resume(self, execution: str) -> None:
        record = await waiting.take_failed(self.store, "p", execution)
        if record is not None:
            self.resumed[execution] += 1
            await waiting.park(self.store, msgspec.structs.replace(record, reply_to=None), 0)

    def halt(self, workflow: str, *, halted: bool) -> None:
        (self.halted.add if halted else self.halted.discard)(workflow)
        for one in self.executors:
            one.endings.take(Halt(project="p", workflow=workflow, halted=halted, reason="", time=0))


class Executor:
    """One process: its intake, its outboxes and the outside system are fakes, and it asks a store for as long as it
    lives."""

    def __init__(self, world: World) -> None:
        self.world, self.dead, self.tasks = world, False, Tasks()
        clock, metrics, tracing, own = SystemClock(), Metrics(), Tracing("t", "t"), cast(Any, self)
        self.endings, self.journals = Endings(own, self.tasks), Journals(own, self.tasks)
        dead = DeadLetters(own, metrics, clock, "executor")
        shelf = Shelf({}, 100, lambda _: None, self.endings.take)
        shelf.take([ProjectVersion(project="p", version=1, files={}, time=0, document=PROJECT), *(
            Halt(project="p", workflow=name, halted=True, reason="", time=0) for name in world.halted)])
        self.stage = Stage(ExecutorParts(
            settings=ExecutorSettings(max_in_flight_per_project=4), shelf=shelf, intake=own,
            answers=Answers(own, dead), usage=own, dead_letters=dead, metrics=metrics, access=AccessLog(0),
            tasks=self.tasks, keeping=Keeping(own, own, clock, self.journals, self.tasks),
            progress=Progress(own, own, self.tasks), traces=ExecutorTraces(tracing, 10**9),
            surroundings=Surroundings(
                http=own, credentials=Credentials(None, own, clock), clock=clock, tracing=tracing, tasks=self.tasks,
                journals=self.journals, store=own, storage=StorageBounds(), outbox=own, endings=self.endings,
                scripts=Scripts(time_ms=100, memory_bytes=16_000_000, threads=1), neighbours=nobody(),
                max_response_bytes=1_000, park_after_ms=20)))
        self.tasks.spawn(self._begin(Waker(own, own, self.tasks, clock)), "begin")

    async def _begin(self, waking: Waker) -> None:
        await self.endings.start()
        await waking.start()

    def take(self, records: Sequence[FakeRecord]) -> None:
        asyncio.get_running_loop().call_soon(lambda: None if self.dead else self.stage.handle(records))

    async def kill(self) -> None:
        """Nothing that it does from now on reaches anybody."""
        self.dead = True
        assert not self.tasks.failed.done()
        await self.tasks.stop()

    def left(self) -> list[Any]:
        """What it still has of executions."""
        more = {task.get_name() for task in self.tasks._running} - {"endings", "waker"}
        return [one for one in (self.stage._outcomes._running, self.endings._running, self.endings._inside,
                                self.journals._waiting, more) if one]

    # the store

    async def run(self, *what: Any) -> Any:
        return await self._asked(self.world.store.run, what)

    async def command(self, *what: Any) -> Any:
        return await self._asked(self.world.store.command, what)

    async def _asked(self, ask: Any, what: Any) -> Any:
        found = None if self.dead else await ask(*what)
        if self.dead:
            raise StoreUnavailable("nobody is there to ask")
        return found

    # the outside system

    async def exchange(self, request: Request, *_: Any) -> Response:
        await asyncio.sleep(random.choice([0, 0.002, 0.01]))
        status = 500 if self.world.broken and random.random() < 0.7 else 200
        return Response(status=status, headers={}, media="application/json", charset=None, body=b"1")

    # the outbox, the usage stream, the intake

    def send(self, topic: str, value: bytes | None, headers: Headers, **_: Any) -> asyncio.Future[None]:
        if topic == topics.EXECUTIONS and not self.dead:
            self.world.write(value, headers)
        elif topic == topics.REPLIES and not self.dead:
            reply = ReplyRecord.from_headers(header_map([*headers]), value)
            self.world.replies[reply.request_id].append(reply.status)
        else:
            assert self.dead, topic
        return self._acknowledged()

    def add(self, event: UsageEvent) -> asyncio.Future[None]:
        if not self.dead:
            self.world.usage[event.id].append(event)
        return self._acknowledged()

    def _acknowledged(self) -> asyncio.Future[None]:
        made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.001, lambda: made.done() or made.set_result(None))
        return made

    def finish_after(self, records: Sequence[Record], effects: Iterable[asyncio.Future[None]]) -> None:
        async def finish() -> None:
            await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0)), *effects])
            if self.world.executors[-1] is self:
                self.world.finished.update(record.offset for record in records)
        self.tasks.spawn(finish(), "finish")


class Fate:
    """What may happen in a world."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world, self._chance = world, chance

    async def live(self, *, dying: bool) -> None:
        """Some dozens of things that happen."""
        likely = {self._starts: 12, self._time_passes: 8, self._ended: 2, self._resumed: 2, self._stopped: 3,
                  self._broken: 3, self._dies: dying, self._taken_for_dead: dying}
        for happens in self._chance.choices([*likely], [*likely.values()], k=40):
            await happens()

    async def _starts(self) -> None:
        for _ in range(self._chance.choice([1, 1, 2, 6])):
            self._world.start(self._chance.choice([*KNOWN]), awaited=self._chance.random() < 0.6)

    async def _time_passes(self) -> None:
        await asyncio.sleep(self._chance.choice([0, 0.001, 0.01, 0.05, 0.1]))

    async def _ended(self) -> None:
        if self._world.running():
            await self._world.cancel(self._chance.choice(self._world.running()))

    async def _resumed(self) -> None:
        if self._world.began:
            await self._world.resume(self._chance.choice([*self._world.began]))

    async def _stopped(self) -> None:
        self._world.halt(self._chance.choice([*KNOWN, "pausing"]), halted=self._chance.random() < 0.3)

    async def _broken(self) -> None:
        self._world.broken = self._chance.random() < 0.3

    async def _dies(self) -> None:
        await self._world.executors[-1].kill()
        self._world.take_over()

    async def _taken_for_dead(self) -> None:
        self._world.take_over()


async def come_to_rest(world: World) -> None:
    """Until nothing runs, and nothing waits."""
    world.broken = False
    for workflow in [*world.halted]:
        world.halt(workflow, halted=False)

    async def rests() -> bool:
        # one that was taken over may be put aside once more after its end
        waits = {name.decode() for name in await world.store.command("ZRANGE", "weir:waiting", 0, -1)}
        for name in {*world.running(), *waits}:
            if world.began[name].operation == "far":
                await world.cancel(name)
        alive = [executor for executor in world.executors if not executor.dead]
        return not (waits or world.open() or world.running() or any(one.left() for one in alive))
    await eventually(rests, every_s=0.02)
    assert await world.store.command("KEYS", "weir:waiting*") == []


def look_back(world: World) -> None:
    """What has become of each execution."""
    for name, record in world.began.items():
        events, statuses, awaited = world.usage[name], world.replies[name], record.reply_to is not None
        most = KNOWN[record.operation][1]
        assert all(event.tasks <= most for event in events)
        assert not any(event.reason == "overloaded" and event.tasks for event in events)
        assert record.operation == "leaves" or all(event.tasks == most for event in events if event.status == 200)
        assert bool(statuses) is awaited
        assert not awaited or statuses[0] == events[0].status
        # one that is cancelled in the moment in which it is put aside and taken up is told so by both who have it
        more = name in world.again or {event.reason for event in events} == {"cancelled"}
        assert more or (len(events), len(statuses)) == (1 + world.resumed[name], awaited)


@pytest.mark.parametrize(("seed", "dying"), [(1, False), (2, False), (3, True), (4, True), (5, True), (6, True)])
async def test_each_execution_ends_once_and_leaves_nothing(
        seed: int, dying: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for where, name, value in ((endings, "_LOOK_S", 0.02), (waker, "_LOOK_S", 0.02), (keeping, "_SOONEST_MS", 20),
                               (keeping, "_LATEST_MS", 60), (waiting, "_LEASE_MS", 400), (pauses, "_LONGEST_MS", 40)):
        monkeypatch.setattr(where, name, value)
    async with running(tmp_path) as store:
        world = World(store)
        world.take_over()
        await Fate(world, random.Random(seed)).live(dying=dying)
        await come_to_rest(world)
        for executor in world.executors:
            await executor.kill()
    assert dying or not world.again
    look_back(world)
