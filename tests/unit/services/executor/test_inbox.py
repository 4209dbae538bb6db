"""The door: what is done at once, what goes on in a task, and that both end the same way."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from unittest.mock import AsyncMock

import msgspec
import orjson
import pytest

from services.executor import inbox
from services.executor.endings import Endings
from services.executor.inbox import Stage
from services.executor.journal import Journal, Journals, Superseded
from services.executor.keeping import Keeping
from services.executor.outside.client import OutsideClient
from services.executor.outside.credentials import Credentials
from services.executor.parts import ExecutorParts
from services.executor.progress import Progress
from services.executor.scene import Parked, Scene, StorageBounds, Surroundings
from services.executor.scripts import Scripts
from services.executor.settings import ExecutorSettings
from services.executor.shelf import Shelf
from services.executor.steps.transform import TransformStep
from services.executor.traces import ExecutorTraces
from shared.contracts.codec import header_map
from shared.contracts.config import Halt, ProjectVersion
from shared.contracts.execution import ExecutionRecord
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.origin import Origin
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import ReplyAddress
from shared.contracts.usage import Envelope, UsageEvent
from shared.errors import Cancelled, TimedOut, Unavailable, WeirError, WorkflowFailed, WorkflowStopped
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.record import Record
from shared.names import headers as H
from shared.names import topics
from shared.names.headers import JSON
from shared.runtime.tasks import Tasks
from shared.store.redis import StoreUnavailable
from shared.telemetry import logs
from shared.telemetry.access import AccessLog
from shared.telemetry.metrics import Metrics
from shared.telemetry.tracing import Tracing
from tests.support.fakes import FakeOutbox, FakeRecord, StoppedClock
from tests.support.platform import eventually
from tests.unit.services.executor.test_run import nobody, nowhere

Json = dict[str, Any]
NAME: Json = {"id": "name", "transform": {"value": "{% trigger.body.name %}"}}
ANSWER: Json = {"id": "answer", "reply": {"body": "{% steps %}", "headers": {"x-id": "{% execution.id %}"}}}
WORKFLOWS: dict[str, list[Json]] = {
    "quick": [NAME, {"id": "way", "branch": {"if": "steps.name = 'a'", "then": [
        {"id": "known", "transform": {"value": 1}}]}}, ANSWER],
    "slow": [NAME, {"id": "wait", "delay": {"for": "1ms"}}, ANSWER],
    "long": [NAME, {"id": "wait", "delay": {"for": "20s"}}, ANSWER],
    "fails": [NAME, {"id": "no", "fail": {"message": "no", "error": "sold-out", "status": 409}}],
    "wild": [{"id": "no", "transform": {"value": "{% $error('no') %}"}}],
    "problem": [{"id": "answer", "reply": {"status": 404, "headers": {"content-type": "application/problem+json"},
                                           "body": {"title": "none"}}}],
    "moved": [{"id": "answer", "reply": {"status": 302, "headers": {"location": "/else"}}}],
    "taken": [{"id": "answer", "reply": {"status": 202}}],
    "gone": [NAME],
    "calls": [NAME, {"id": "each", "loop": {"over": [1, 2, 3, 4, 5], "steps": [
        {"id": "x", "transform": {"value": 1}}]}},
              {"id": "other", "call": {"workflow": "silent"}, "fallback": 1}, ANSWER],
    "skips": [NAME | {"if": "false"}, {"id": "other", "call": {"workflow": "silent"}}, ANSWER],
    "asks": [{"id": "wait", "delay": {"for": "1ms"}}, NAME | {"if": "trigger.body"}, ANSWER],
    "asks-at-once": [NAME | {"if": "trigger.body"}, ANSWER],
    "silent": [NAME],
    "leaves": [{"id": "other", "call": {"workflow": "long", "wait": False}}, ANSWER],
    "leaves-and-fails": [{"id": "other", "call": {"workflow": "long", "wait": False}}, {"id": "no", "fail": {
        "message": "no", "status": 409}}]}
# of one that is sampled, its spans tell of them
STEPS = {f"step {step['id']}" for steps in WORKFLOWS.values() for step in steps}


class Finished:
    """Stands for the intake."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[Record], list[asyncio.Future[None]]]] = []
        self.called = asyncio.Event()

    def finish_after(self, records: Sequence[Record], effects: Iterable[asyncio.Future[None]]) -> None:
        self.calls.append((list(records), list(effects)))
        self.called.set()


class Bed:
    """An executor without a broker and without a store."""

    def __init__(self, **settings: Any) -> None:
        self.outbox, self.finished, self.tasks, self.clock = FakeOutbox(), Finished(), Tasks(), StoppedClock()
        store, metrics, tracing = nowhere(), Metrics(), Tracing("t", "t")
        outbox, http = cast(Any, self.outbox), cast(OutsideClient, None)
        self.endings = Endings(store, self.tasks)
        dead, journals = DeadLetters(outbox, metrics, self.clock, "executor"), Journals(store, self.tasks)
        self.usage = UsageEnvelopes(outbox, metrics)
        self.shelf = Shelf({}, 100, lambda _: None, self.endings.take)
        self.shelf.take([ProjectVersion(project="p", version=1, files={}, time=0, document={
            "name": "p", "workflows": {name: {"name": name, "steps": steps} for name, steps in WORKFLOWS.items()},
            "operations": [{"name": name, "method": "POST", "path": f"/{name}", "workflow": name}
                           for name in WORKFLOWS]})])
        self.stage = Stage(ExecutorParts(
            settings=ExecutorSettings(**settings), shelf=self.shelf, intake=cast(Any, self.finished),
            answers=Answers(outbox, dead), usage=self.usage, dead_letters=dead, metrics=metrics, access=AccessLog(0),
            tasks=self.tasks, keeping=Keeping(store, store, self.clock, journals, self.tasks),
            progress=Progress(store, store, self.tasks), traces=ExecutorTraces(tracing, 1_000),
            surroundings=Surroundings(
                http=http, credentials=Credentials(None, http, self.clock), clock=self.clock, tracing=tracing,
                tasks=self.tasks, journals=journals, store=store, storage=StorageBounds(), outbox=outbox,
                scripts=Scripts(time_ms=100, memory_bytes=16_000_000, threads=1), endings=self.endings,
                neighbours=nobody(), max_response_bytes=1_000)))

    def record(self, number: int, operation: str = "quick", **more: Any) -> FakeRecord:
        now_ms = self.clock.now_ms()
        execution = msgspec.structs.replace(ExecutionRecord(
            request_id=f"r{number}", project="p", version=1, operation=operation, client="c", source="edge",
            origin=Origin("t", 0, number), deadline_ms=now_ms + 60_000, answer_by_ms=now_ms + 30_000,
            keep_ms=1_000, timing={"policy": 5}, answer_headers={"RateLimit": "r=1"},
            reply_to=ReplyAddress(correlation_id=b"%d" % number, topic=topics.REPLIES, partition=3)), **more)
        return FakeRecord(topics.EXECUTIONS, 0, number, now_ms, value=execution.body or b'{"name": "a"}',
                          headers=[*execution.to_headers()])

    async def settled(self, records: int) -> None:
        """Until so many records are finished."""
        async with asyncio.timeout(10):
            while sum(len(done) for done, _ in self.finished.calls) < records:
                self.finished.called.clear()
                await self.finished.called.wait()

    def replies(self) -> list[ReplyRecord]:
        return [ReplyRecord.from_headers(header_map(cast(Any, sent.headers)), sent.value)
                for sent in self.outbox.sent if sent.topic == topics.REPLIES]

    def events(self) -> list[UsageEvent]:
        self.usage.flush()
        return [event for sent in self.outbox.sent if sent.topic == topics.USAGE
                for event in Envelope.from_record(sent.value, header_map(cast(Any, sent.headers))).events]


async def test_execution_that_waits_for_nothing_is_answered_before_the_door_closes() -> None:
    bed = Bed()
    bed.stage.handle([bed.record(number) for number in range(3)])
    assert [(one.request_id, one.status, orjson.loads(one.body)) for one in bed.replies()] == [
        (f"r{number}", 200, {"name": "a", "known": 1, "way": "then"}) for number in range(3)]
    (done, effects), = bed.finished.calls
    assert [record.offset for record in done] == [0, 1, 2]
    # an answer each, for this outbox sends no batches, and one envelope
    assert len(effects) == 4
    assert [(event.id, event.tasks, event.status) for event in bed.events()] == [(f"r{n}", 5, 200) for n in range(3)]


async def test_execution_that_takes_long_for_one_that_is_done_at_once_gives_turns_to_others(
        monkeypatch: pytest.MonkeyPatch) -> None:
    bed, plain, long_ms = Bed(), TransformStep.now, 60

    def now(self: TransformStep, scene: Scene) -> Any:
        bed.clock.now += long_ms
        return plain(self, scene)
    monkeypatch.setattr(TransformStep, "now", now)
    bed.shelf.take([ProjectVersion(project="p", version=2, files={}, time=0, document={
        "name": "p", "workflows": {"w": {"name": "w", "steps": [
            *({"id": f"s{index}", "transform": {"value": index}} for index in range(4)),
            {"id": "answer", "reply": {"body": "{% steps %}"}}]}},
        "operations": [{"name": "long", "method": "POST", "path": "/long", "workflow": "w"}]})])
    bed.stage.handle([bed.record(0, "long", version=2)])
    # it goes on in a task, from its beginning
    assert bed.replies() == []
    await bed.settled(1)
    assert [orjson.loads(one.body) for one in bed.replies()] == [{f"s{index}": index for index in range(4)}]
    assert [event.tasks for event in bed.events()] == [6]
    # and the next one at once, for it may have been an accident, only after some more
    long_ms = 0
    for number in range(1, 101):
        bed.stage.handle([bed.record(number, "long", version=2)])
        await bed.settled(number + 1)
    before = len(bed.replies())
    bed.stage.handle([bed.record(101, "long", version=2)])
    assert len(bed.replies()) == before + 1


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...], str]]:
    """What executions have given back."""
    found: list[tuple[str, tuple[str, ...], str]] = []

    async def give_back(_: Any, request_id: str, keys: tuple[str, ...], once: str) -> None:
        found.append((request_id, keys, once))
    monkeypatch.setattr("shared.store.amounts.give_back", give_back)
    return found


@pytest.mark.parametrize(("operation", "more", "status", "once"), [
    ("quick", {}, 200, ""), ("slow", {}, 200, ""), ("fails", {}, 409, "m"), ("wild", {}, 500, "m"),
    ("moved", {}, 302, "m"), ("taken", {}, 202, ""), ("gone", {}, 503, "m"),
    ("quick", {"once": ""}, 200, ""), ("fails", {"once": ""}, 409, ""),
    ("quick", {"answer_by_ms": 1}, 504, "m"), ("quick", {"deadline_ms": 1, "answer_by_ms": 0}, 504, "m")])
async def test_message_is_given_back_when_the_answer_is_not_2xx(
        given: list[Any], operation: str, more: Json, status: int, once: str) -> None:
    bed = Bed()
    bed.endings.take(Halt(project="p", workflow="gone", halted=True, time=0))
    bed.stage.handle([bed.record(1, operation, **{"once": "m", "holds": ("k",), **more})])
    await bed.settled(1)
    assert [reply.status for reply in bed.replies()] == [status]
    assert given == [("r1", ("k",), once)]


CLAIM: Json = {"claim": {"key": "k", "digest": "d", "keep_ms": 1_000}}


class Keys:
    """Idempotency keys, for the store: statuses of answers that are kept, keys that are freed, and for whom."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept: list[int] = []
        self.freed: list[tuple[str, KeptAnswer]] = []
        monkeypatch.setattr("shared.store.idempotency.keep", self.keep)
        monkeypatch.setattr("shared.store.idempotency.free", self.free)

    async def keep(self, _: Any, key: str, answer: KeptAnswer, keep_ms: int) -> None:
        self.kept.append(answer.status)

    async def free(self, _: Any, key: str, claimed: KeptAnswer) -> None:
        self.freed.append((key, claimed))


@pytest.mark.parametrize(("operation", "more", "kept"), [
    ("slow", {}, [200]), ("fails", {}, [409]), ("wild", {}, [500]), ("gone", {}, []), ("slow", {}, []),
    ("slow", {"answer_by_ms": 1}, []), ("slow", {"answer_by_ms": 0, "deadline_ms": 1}, [])],
    ids=["done", "failed", "broken", "stopped before it ran", "no room", "too late for its caller", "too late"])
async def test_key_of_a_call_of_which_nothing_has_run_is_free_again(
        monkeypatch: pytest.MonkeyPatch, operation: str, more: Json, kept: list[int]) -> None:
    keys, bed = Keys(monkeypatch), Bed(max_in_flight_per_project=1)
    bed.endings.take(Halt(project="p", workflow="gone", halted=True, time=0))
    full = operation == "slow" and not kept and not more
    if full:
        bed.stage.handle([bed.record(1, "slow")])
    bed.stage.handle([bed.record(2, operation, **CLAIM, **more)])
    await bed.settled(2 if full else 1)
    assert keys.kept == kept
    assert keys.freed == ([] if kept else [("k", KeptAnswer(request_id="r2", digest="d"))])


@pytest.mark.parametrize("operation", ["quick", "slow"])
@pytest.mark.parametrize("claim", [{"x": 1}, {**CLAIM["claim"], "keep_ms": "1h"}, {**CLAIM["claim"], "keep_ms": 0},
                                   {**CLAIM["claim"], "key": None}])
async def test_execution_with_a_claim_that_is_none_is_a_dead_letter(operation: str, claim: Json) -> None:
    bed = Bed()
    bed.stage.handle([bed.record(1, operation, claim=claim), bed.record(2, "quick")])
    await bed.settled(2)
    told = [sent.topic for sent in bed.outbox.sent if sent.topic != topics.USAGE]
    assert told == [topics.DEAD_LETTERS, topics.REPLIES]
    assert not bed.tasks.failed.done()


@pytest.mark.parametrize("operation", ["quick", "slow"])
@pytest.mark.parametrize("more", [
    {"timing": {"policy": 2**70}}, {"timing": {"policy": -1}}, {"timing": {str(hop): 1 for hop in range(99)}},
    {"spent": 2**60}, {"origin": Origin("a/b", 0, 0)}, {"origin": Origin("t", -1, 0)},
    {"origin": Origin("t", 0, 10**19)},
], ids=["time", "time before", "hops", "tasks", "two topics", "partition", "offset"])
async def test_execution_of_which_no_event_could_be_counted_is_a_dead_letter(operation: str, more: Json) -> None:
    bed = Bed()
    bed.stage.handle([bed.record(1, operation, **more), bed.record(2, "quick")])
    await bed.settled(2)
    told = [sent.topic for sent in bed.outbox.sent if sent.topic != topics.USAGE]
    assert told == [topics.DEAD_LETTERS, topics.REPLIES]
    assert not bed.tasks.failed.done()


async def test_execution_in_the_form_of_before_whose_place_has_digits_that_are_none_is_a_dead_letter() -> None:
    bed = Bed()
    facts = {H.REQUEST_ID: b"r1", H.PROJECT: b"p", H.VERSION: b"1", H.OPERATION: b"quick", H.SOURCE: b"edge",
             H.ORIGIN: "t/²/0".encode()}
    bed.stage.handle([FakeRecord(topics.EXECUTIONS, headers=[*facts.items()]), bed.record(2, "quick")])
    await bed.settled(2)
    assert [sent.topic for sent in bed.outbox.sent if sent.topic != topics.USAGE] == [
        topics.DEAD_LETTERS, topics.REPLIES]


@pytest.mark.parametrize("timestamp", [-1, 0, -10**13, -2**62, 2**62])
async def test_execution_whose_record_tells_no_time_that_can_be_is_counted(timestamp: int) -> None:
    bed = Bed()
    record = bed.record(1, "quick")
    record.timestamp = timestamp
    bed.stage.handle([record])
    await bed.settled(1)
    assert [event.id for event in bed.events()] == ["r1"]


@pytest.mark.parametrize(("why", "operation", "kept"), [
    ("client-gone", "quick", []), ("client-gone", "slow", []), ("operator", "slow", [503])])
async def test_key_of_a_call_whose_caller_has_gone_before_it_began_is_free(
        monkeypatch: pytest.MonkeyPatch, why: str, operation: str, kept: list[int]) -> None:
    async def cancelled(*_: Any) -> tuple[int, dict[str, str]]:
        return 1, {"r1": why}
    monkeypatch.setattr("services.executor.endings.cancelled", cancelled)
    keys, bed = Keys(monkeypatch), Bed()
    await bed.endings.look()
    bed.stage.handle([bed.record(1, operation, **CLAIM)])
    await bed.settled(1)
    assert (keys.kept, len(keys.freed)) == (kept, 1 - len(kept))
    assert [event.tasks for event in bed.events()] == [len(kept)]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("there", "tasks"), [(False, 0), (True, 1), (None, 1)],
                         ids=["nothing has run", "an executor has died", "nobody knows"])
async def test_key_of_a_durable_call_that_is_too_late_is_free_if_its_journal_has_not_begun(
        monkeypatch: pytest.MonkeyPatch, there: bool | None, tasks: int, known: bool) -> None:
    async def begun(*_: Any) -> bool:
        if there is None:
            raise StoreUnavailable("away")
        return there
    monkeypatch.setattr("services.executor.journal.begun", begun)
    keys, bed = Keys(monkeypatch), Bed()
    plan = bed.shelf.known("p", 1, "slow")
    assert plan is not None
    monkeypatch.setattr(bed.shelf, "known", lambda *_: replace(plan, durable=True) if known else None)
    bed.stage.handle([bed.record(1, "slow", **CLAIM, answer_by_ms=0, deadline_ms=1)])
    await bed.settled(1)
    assert (len(keys.kept), len(keys.freed)) == (tasks, 1 - tasks)
    assert [(event.status, event.tasks) for event in bed.events()] == [(504, tasks)]


async def test_message_is_given_back_before_the_answer_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    bed, replies = Bed(), []

    async def give_back(*_: Any) -> None:
        replies.append(len(bed.replies()))
    monkeypatch.setattr("shared.store.amounts.give_back", give_back)
    bed.stage.handle([bed.record(1, "fails", once="m")])
    await bed.settled(1)
    assert (replies, len(bed.replies())) == ([0], 1)


async def test_execution_that_nobody_waits_for_any_more_keeps_its_message_until_it_ends(given: list[Any]) -> None:
    bed = Bed()
    bed.stage.handle([bed.record(1, "long", once="m", reply_to=None, answer_by_ms=0, keep_ms=0)])
    await asyncio.sleep(0.05)
    assert given == []
    bed.endings.take(Halt(project="p", workflow="long", halted=True, time=0))
    await bed.settled(1)
    assert given == [("r1", (), "m")]


async def test_execution_ends_though_the_store_is_away_that_it_gives_its_message_back_to() -> None:
    bed = Bed()
    bed.stage.handle([bed.record(1, "fails", once="m", holds=("k",)), bed.record(2, once="m")])
    await bed.settled(2)
    assert {reply.request_id: reply.status for reply in bed.replies()} == {"r1": 409, "r2": 200}


@pytest.mark.parametrize("more", [
    {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}, {"holds": ("k",)}, {"once": "m"},
    {"answer_by_ms": 0}, {"body": b'{"name": "a"}' + b" " * 100_000}],
    ids=["sampled", "holds an amount", "holds a message", "nobody waits", "large"])
@pytest.mark.parametrize("operation", ["quick", "fails", "silent"])
async def test_execution_in_a_task_ends_as_one_that_is_done_at_once(operation: str, more: Json) -> None:
    found = []
    for extra in ({}, more):
        bed = Bed()
        bed.stage.handle([bed.record(1, operation, **extra)])
        assert bool(bed.finished.calls) == (extra == {})
        await bed.settled(1)
        reply, = bed.replies()
        event, = bed.events()
        found.append((reply.status, reply.body, reply.headers, reply.content_type, reply.timing.keys() - STEPS,
                      event.tasks, event.status, event.reason, event.step, event.bytes_out))
    assert found[0] == found[1]


async def test_poll_with_both_kinds_finishes_each() -> None:
    bed = Bed()
    bed.stage.handle([bed.record(0, "slow"), bed.record(1), bed.record(2, "slow"), FakeRecord(topics.EXECUTIONS, 0, 3)])
    assert [record.offset for record in bed.finished.calls[0][0]] == [1, 3]
    await bed.settled(4)
    assert {one.request_id for one in bed.replies()} == {"r0", "r1", "r2"}
    assert sum(sent.topic == topics.DEAD_LETTERS for sent in bed.outbox.sent) == 1


async def test_long_poll_gives_others_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed()
    ticks = iter(range(0, 10**9, 1_000))
    monkeypatch.setattr(bed.clock, "elapsed_us", lambda: next(ticks))
    bed.stage.handle([bed.record(number) for number in range(20)])
    first = len(bed.replies())
    assert 0 < first < 20
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert first < len(bed.replies()) < 20
    await bed.settled(20)
    assert [one.request_id for one in bed.replies()] == [f"r{number}" for number in range(20)]
    assert inbox._TURN_US < 100_000


async def test_ids_of_one_execution_stand_on_no_line_after_it() -> None:
    bed = Bed()
    bed.stage.handle([bed.record(1)])
    assert logs._about.get() is None


async def test_stopped_workflow_does_not_run_until_it_goes_on() -> None:
    bed = Bed()
    bed.endings.take(Halt(project="p", workflow="quick", halted=True, time=0, reason="enough"))
    bed.stage.handle([bed.record(1)])
    reply, = bed.replies()
    assert (reply.status, b"enough" in reply.body, bed.events()[0].tasks) == (503, True, 0)
    bed.endings.take(Halt(project="p", workflow="quick", halted=False, time=1))
    bed.stage.handle([bed.record(2)])
    assert bed.replies()[1].status == 200


@pytest.mark.parametrize(("operation", "tasks"), [("calls", 9), ("skips", 2), ("silent", 0)])
async def test_execution_that_cannot_go_on_costs_what_has_run(operation: str, tasks: int) -> None:
    bed = Bed()
    bed.endings.take(Halt(project="p", workflow="silent", halted=True, time=0))
    bed.stage.handle([bed.record(1, operation)])
    await bed.settled(1)
    assert [(event.status, event.reason, event.tasks) for event in bed.events()] == [(503, "workflow-stopped", tasks)]


@pytest.mark.parametrize("operation", ["asks", "asks-at-once"])
async def test_condition_that_cannot_be_told_is_an_error_of_its_step(
        operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def holds(*_: Any) -> bool:
        raise RecursionError
    bed = Bed()
    bed.stage.handle([bed.record(1, operation, content_type=JSON)])
    await bed.settled(1)
    monkeypatch.setattr("shared.project.expressions.Template.holds", holds)
    bed.stage.handle([bed.record(2, operation, content_type=JSON)])
    await bed.settled(2)
    assert [(event.status, event.step) for event in bed.events()] == [(200, None), (500, "name")]
    assert b"the step cannot be done with these values (RecursionError)" in bed.replies()[1].body


async def test_cancelled_execution_does_not_run() -> None:
    bed = Bed()
    bed.endings._known["r1"] = "operator"
    bed.stage.handle([bed.record(1), bed.record(2)])
    assert [one.status for one in bed.replies()] == [503, 200]


async def test_execution_that_runs_ends_with_its_workflow_or_when_it_is_cancelled(
        monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancelled(*_: Any) -> tuple[int, dict[str, str]]:
        return 1, {"r1": "operator"}
    monkeypatch.setattr("services.executor.endings.cancelled", cancelled)
    bed = Bed()
    bed.stage.handle([bed.record(1, "long"), bed.record(2, "long"), bed.record(3)])
    await asyncio.sleep(0)
    await bed.endings.look()
    await bed.settled(2)
    assert [(one.request_id, one.status) for one in bed.replies()] == [("r3", 200), ("r1", 503)]
    bed.endings.take(Halt(project="p", workflow="long", halted=True, time=0))
    await bed.settled(3)
    assert [(event.id, event.tasks, event.reason) for event in bed.events()] == [
        ("r3", 5, "ok"), ("r1", 3, "cancelled"), ("r2", 3, "cancelled")]


async def test_execution_that_is_cancelled_in_the_moment_in_which_it_is_put_aside_does_not_wait(
        monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, str] = {}
    waiting: set[str] = set()

    async def cancelled(*_: Any) -> tuple[int, dict[str, str]]:
        return 1, dict(said)

    async def run(_: Any, scene: Any, __: int) -> None:
        scene.journal = cast("Journal", Elsewhere(said=False))
        raise Parked(2**50)

    async def park(_: Any, execution: ExecutionRecord, __: int) -> None:
        said[execution.request_id] = "operator"
        waiting.add(execution.request_id)

    async def forget(_: Any, execution: ExecutionRecord) -> None:
        waiting.remove(execution.request_id)
    monkeypatch.setattr("services.executor.endings.cancelled", cancelled)
    monkeypatch.setattr("services.executor.outcome.run", run)
    monkeypatch.setattr("services.executor.keeping.waiting.park", park)
    monkeypatch.setattr("services.executor.keeping.waiting.forget", forget)
    bed = Bed()
    bed.stage.handle([bed.record(1, "slow")])
    await bed.settled(1)
    assert ([reply.status for reply in bed.replies()], waiting) == ([503], set())


async def test_execution_that_was_put_aside_still_tells_when_it_was_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    parked: list[ExecutionRecord] = []
    told: list[tuple[str, int, int]] = []

    async def run(_: Any, scene: Any, __: int) -> ReplyRecord:
        if len(parked) < 2:
            raise Parked(2**50)
        return ReplyRecord(request_id=scene.execution.request_id, status=200)

    async def park(_: Any, execution: ExecutionRecord, __: int) -> None:
        parked.append(execution)

    async def put(_: Any, __: str, result: Any, ___: int) -> None:
        told.append((result.state, result.accepted, result.until))
    monkeypatch.setattr("services.executor.outcome.run", run)
    monkeypatch.setattr("services.executor.keeping.waiting.park", park)
    monkeypatch.setattr("shared.store.results.ResultWriter.put", put)
    bed = Bed()
    monkeypatch.setattr(bed.endings, "look", bed.endings.start)
    came_ms = bed.clock.now_ms()
    record = bed.record(1, "slow", answer_by_ms=0, reply_to=None)
    for number in range(3):
        bed.clock.now += 5_000
        bed.stage.handle([record])
        await bed.settled(number + 1)
        record = FakeRecord(topics.EXECUTIONS, 0, number, bed.clock.now, headers=[*parked[-1].to_headers()])
    assert told == [("waiting", came_ms, 2**50), ("waiting", came_ms, 2**50), ("succeeded", came_ms, 0)]
    timing = bed.events()[0].timing
    assert timing["executor-queue"] + timing["executor"] == 15_000_000, "it is counted with all that it has waited for"


@pytest.mark.parametrize("more", [{"deadline_ms": 2}, {"operation": "gone"}], ids=["too late", "stopped"])
async def test_resumed_execution_that_does_not_begin_can_be_resumed_once_more(
        monkeypatch: pytest.MonkeyPatch, more: Json) -> None:
    kept: list[str] = []

    async def keep_failed(_: Any, execution: ExecutionRecord, __: int) -> None:
        kept.append(execution.request_id)
    monkeypatch.setattr("services.executor.keeping.waiting.keep_failed", keep_failed)
    bed = Bed()
    bed.endings.take(Halt(project="p", workflow="gone", halted=True, time=0))
    for number, resumed_ms in enumerate((0, 1)):
        bed.stage.handle([bed.record(number, **{"operation": "slow", "answer_by_ms": 0, "reply_to": None,
                                                "resumed_ms": resumed_ms, **more})])
    await bed.settled(2)
    assert kept == ["r1"]


@pytest.mark.parametrize(("error", "journal", "spent", "done"), [
    (WorkflowFailed("no"), True, 0, ["kept"]), (WorkflowFailed("no"), False, 3, ["kept"]),
    (WorkflowFailed("no"), False, 0, []), (WorkflowStopped("no"), True, 0, ["kept"]),
    (WorkflowStopped("no"), False, 3, ["forgotten"]), (Cancelled("no"), True, 0, ["forgotten"])])
async def test_failed_execution_can_be_resumed_where_it_is_noted_what_has_run_and_one_that_was_ended_cannot(
        monkeypatch: pytest.MonkeyPatch, error: WeirError, journal: bool, spent: int, done: list[str]) -> None:
    found: list[str] = []
    states: list[str] = []

    async def run(_: Any, scene: Any, __: int) -> None:
        scene.tally.count()
        scene.journal = Elsewhere(said=False) if journal else None
        raise error

    async def keep_failed(*_: Any) -> None:
        found.append("kept")

    async def forget(*_: Any) -> None:
        found.append("forgotten")

    async def put(_: Any, __: str, result: Any, ___: int) -> None:
        states.append(result.state)
    monkeypatch.setattr("services.executor.outcome.run", run)
    monkeypatch.setattr("services.executor.keeping.waiting.keep_failed", keep_failed)
    monkeypatch.setattr("services.executor.keeping.waiting.forget", forget)
    monkeypatch.setattr("services.executor.progress.get", AsyncMock(return_value=None))
    monkeypatch.setattr("shared.store.results.ResultWriter.put", put)
    bed = Bed()
    bed.stage.handle([bed.record(1, "slow", answer_by_ms=0, spent=spent)])
    await bed.settled(1)
    assert (found, states) == (done, ["cancelled" if done == ["forgotten"] else "failed"])
    assert [event.tasks for event in bed.events()] == [max(spent, 2)]


@pytest.mark.parametrize("error", [WorkflowFailed("no"), Superseded("elsewhere"), TimeoutError(), RuntimeError("odd")])
async def test_workflow_that_nobody_waits_for_fails_alone(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def result(*_: Any) -> None:
        await asyncio.sleep(0.01)
        raise error
    monkeypatch.setattr("services.executor.steps.call.CallStep._result", result)
    bed = Bed()
    bed.stage.handle([bed.record(1, "leaves")])
    await bed.settled(1)
    assert ([reply.status for reply in bed.replies()], bed.tasks.failed.done()) == ([200], False)


@pytest.mark.parametrize("asked", [True, False], ids=["its task", "what it waits for"])
async def test_execution_that_ends_by_a_cancellation_that_is_none_of_its_own_is_answered(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, asked: bool) -> None:
    async def run(*_: Any) -> None:
        task = asyncio.current_task()
        if asked and task is not None:
            task.cancel()
            task.cancel()
        await asyncio.sleep(0)
        raise asyncio.CancelledError
    monkeypatch.setattr("services.executor.outcome.run", run)
    bed = Bed()
    bed.stage.handle([bed.record(1, "slow")])
    await bed.settled(1)
    assert [(reply.request_id, reply.status) for reply in bed.replies()] == [("r1", 500)]
    assert [(event.status, event.tasks) for event in bed.events()] == [(500, 1)]
    assert "execution r1 failed" in caplog.text


@pytest.mark.parametrize(("operation", "status"), [("leaves", 200), ("leaves-and-fails", 409)])
async def test_workflow_that_is_stopped_when_its_execution_is_answered_already_ends_alone(
        monkeypatch: pytest.MonkeyPatch, operation: str, status: int) -> None:
    states: list[str] = []

    async def put(_: Any, __: str, result: Any, ___: int) -> None:
        states.append(result.state)
    monkeypatch.setattr("shared.store.results.ResultWriter.put", put)
    bed = Bed()
    bed.stage.handle([bed.record(1, operation, answer_by_ms=0)])
    await asyncio.sleep(0.05)
    assert (len(bed.replies()), bed.finished.calls) == (1, [])
    bed.endings.take(Halt(project="p", workflow="long", halted=True, time=0))
    await bed.settled(1)
    assert [reply.status for reply in bed.replies()] == [status]
    assert [(event.status, event.tasks) for event in bed.events()] == [(status, 5)]
    assert states == ["succeeded" if status == 200 else "failed"]


async def test_execution_that_stands_when_the_process_stops_is_left_for_another() -> None:
    bed = Bed()
    bed.stage.handle([bed.record(1, "long")])
    await asyncio.sleep(0)
    await bed.tasks.stop()
    assert (bed.replies(), bed.finished.calls) == ([], [])


async def test_execution_that_two_ask_to_end_ends_once_and_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []

    async def end(*_: Any, **__: Any) -> None:
        task = asyncio.current_task()
        left.append(-1 if task is None else task.cancelling())
    monkeypatch.setattr("services.executor.progress.Progress.end", end)
    bed = Bed()
    bed.stage.handle([bed.record(1, "long")])
    await asyncio.sleep(0)
    bed.endings.take(Halt(project="p", workflow="long", halted=True, time=0))
    bed.endings.take(Halt(project="p", workflow="long", halted=True, time=0))
    await bed.settled(1)
    # timeouts of what comes after it are timeouts
    assert ([reply.status for reply in bed.replies()], left) == ([503], [0])


async def test_execution_that_nobody_waits_for_begins_anew_while_the_platform_is_away(
        monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []

    async def beside() -> None:
        await asyncio.sleep(0.01)

    async def run(_: Any, scene: Scene, __: int) -> ReplyRecord:
        runs.append(scene.execution.request_id)
        assert (scene.tally.tasks, scene.scope["steps"], scene.tally.beside) == (1, {}, set())
        scene.tally.count()
        scene.keep("a", 1)
        scene.spawn(beside(), "beside")
        if len(runs) < 4:
            raise Unavailable("away")
        return ReplyRecord(request_id=scene.execution.request_id, status=200)
    monkeypatch.setattr("services.executor.outcome.run", run)
    monkeypatch.setattr("services.executor.outcome._PAUSE_S", 0)
    bed = Bed()
    bed.stage.handle([bed.record(1, "slow"), bed.record(2, "slow", reply_to=None, answer_by_ms=0, keep_ms=0)])
    await bed.settled(2)
    assert sorted(runs) == ["r1", "r2", "r2", "r2"]
    assert sorted((event.id, event.status, event.tasks) for event in bed.events()) == [("r1", 503, 2), ("r2", 200, 2)]


@dataclass
class Elsewhere:
    """A journal that says whether another walk has opened it."""

    said: bool = True

    async def goes_on_elsewhere(self) -> bool:
        return self.said


@pytest.mark.parametrize("error", [Superseded("elsewhere"), TimedOut("the outside system did not answer"),
                                   Unavailable("away")])
async def test_execution_that_goes_on_elsewhere_is_told_of_by_nobody_here(
        monkeypatch: pytest.MonkeyPatch, given: list[Any], error: Exception) -> None:
    told: list[str] = []

    async def beside() -> None:
        await asyncio.sleep(0.05)
        told.append("beside")

    async def run(_: Any, scene: Scene, __: int) -> None:
        scene.spawn(beside(), "beside")
        scene.journal = cast("Journal", Elsewhere())
        raise error

    async def put(_: Any, __: str, result: Any, ___: int) -> None:
        told.append(result.state)
    keys, bed = Keys(monkeypatch), Bed()
    monkeypatch.setattr("services.executor.outcome.run", run)
    monkeypatch.setattr("services.executor.progress._FIRST_S", 0.01)
    monkeypatch.setattr("shared.store.results.ResultWriter.put", put)
    bed.stage.handle([bed.record(1, "slow", answer_by_ms=0, once="m", holds=("k",), **CLAIM)])
    await bed.settled(1)
    assert (bed.outbox.sent, bed.events(), given, keys.kept, keys.freed, told) == ([], [], [], [], [], ["beside"])


async def test_end_that_the_store_did_not_take_is_told_once_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    async def put(_: Any, __: str, result: Any, ___: int) -> None:
        told.append(result.state)
        if len(told) < 3:
            raise StoreUnavailable("away")
    monkeypatch.setattr("shared.store.late._REST_S", 0.01)
    monkeypatch.setattr("shared.store.results.ResultWriter.put", put)
    bed = Bed()
    bed.stage.handle([bed.record(1, "slow", answer_by_ms=0)])
    await bed.settled(1)
    assert (told, [reply.status for reply in bed.replies()]) == (["succeeded"], [200])
    await eventually(lambda: len(told) == 3)


async def test_execution_past_its_deadline_does_not_run() -> None:
    bed = Bed()
    bed.stage.handle([bed.record(1, answer_by_ms=1), bed.record(2, answer_by_ms=0, keep_ms=0, deadline_ms=1)])
    await bed.settled(2)
    assert [one.status for one in bed.replies()] == [504, 504]
    assert [(event.tasks, event.step) for event in bed.events()] == [(0, None), (0, None)]


async def test_execution_that_is_done_at_once_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = TransformStep.now

    def now(self: TransformStep, scene: Scene) -> Any:
        bed.clock.now += 30
        return plain(self, scene)
    monkeypatch.setattr(TransformStep, "now", now)
    bed = Bed()
    bed.stage.handle([bed.record(1, deadline_ms=bed.clock.now_ms() + 30)])
    assert [(event.status, event.tasks, event.step) for event in bed.events()] == [(504, 2, "way")]


@pytest.mark.parametrize("more", [{}, {"answer_by_ms": 0}], ids=["at once", "in a task"])
async def test_execution_runs_no_more_tasks_than_its_workflow_allows(more: Json) -> None:
    bed = Bed()
    bed.shelf.take([ProjectVersion(project="p", version=2, files={}, time=0, document={
        "name": "p", "workflows": {"w": {"name": "w", "max_tasks": 3, "steps": [
            *({"id": f"s{index}", "transform": {"value": index}} for index in range(3)), ANSWER]}},
        "operations": [{"name": "few", "method": "POST", "path": "/few", "workflow": "w"}]})])
    bed.stage.handle([bed.record(1, "few", version=2, **more)])
    await bed.settled(1)
    assert [(event.status, event.reason, event.tasks, event.step) for event in bed.events()] == [
        (500, "tasks-spent", 3, "s2")]


async def test_execution_of_which_nobody_hears_sends_no_answer() -> None:
    bed = Bed()
    bed.stage.handle([bed.record(1, reply_to=None, answer_by_ms=0, keep_ms=0)])
    await bed.settled(1)
    assert ([event.status for event in bed.events()], bed.replies()) == ([200], [])


async def test_project_that_has_no_room_is_told_so_until_it_has() -> None:
    bed = Bed(max_in_flight_per_project=1)
    bed.stage.handle([bed.record(1, "slow")])
    await asyncio.sleep(0)
    bed.stage.handle([bed.record(2)])
    await bed.settled(2)
    assert {one.request_id: one.status for one in bed.replies()} == {"r1": 200, "r2": 503}
    for number in (3, 4):
        bed.stage.handle([bed.record(number, "slow")])
        await bed.settled(number)
    assert [one.status for one in bed.replies()[2:]] == [200, 200]


@pytest.mark.parametrize(("operation", "state"), [("problem", "succeeded"), ("fails", "failed")])
async def test_problem_that_a_workflow_replies_is_an_answer_and_no_failure(
        monkeypatch: pytest.MonkeyPatch, operation: str, state: str) -> None:
    bed, kept = Bed(), []

    async def put(_: Any, __: str, result: Any, ___: int) -> None:
        kept.append((result.state, result.content_type))
    monkeypatch.setattr("shared.store.results.ResultWriter.put", put)
    bed.stage.handle([bed.record(1, operation, answer_by_ms=0)])
    await bed.settled(1)
    assert kept == [(state, "application/problem+json")]


@pytest.mark.parametrize(("durable", "spent", "begun", "waits"), [
    (True, 3, False, True), (True, 0, True, True), (True, 0, False, False), (False, 0, True, False)])
async def test_execution_that_has_begun_waits_for_its_turn_though_a_caller_waits_for_it(
        durable: bool, spent: int, begun: bool, waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    parked: list[ExecutionRecord] = []

    async def park(_: Any, execution: ExecutionRecord, __: int) -> None:
        parked.append(execution)

    async def has_begun(*_: Any) -> bool:
        return begun
    known = Shelf.known
    monkeypatch.setattr(Shelf, "known", lambda *args: replace(known(*args), durable=durable))
    monkeypatch.setattr("services.executor.keeping.waiting.park", park)
    monkeypatch.setattr("services.executor.journal.begun", has_begun)
    bed = Bed(max_in_flight_per_project=1)
    bed.stage.handle([bed.record(1, "slow"), bed.record(2, "slow", spent=spent)])
    await bed.settled(2)
    assert [one.request_id for one in parked] == (["r2"] if waits else [])
    assert ("r2" in {one.request_id for one in bed.replies()}) is not waits
    assert all(one.spent == spent for one in parked)


async def test_execution_that_is_cancelled_while_it_is_put_aside_ends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: set[str] = set()

    async def park(_: Any, execution: ExecutionRecord, __: int) -> None:
        waiting.add(execution.request_id)
        # the store has it, and its word is on the way
        await asyncio.sleep(10)

    async def forget(_: Any, execution: ExecutionRecord) -> None:
        waiting.remove(execution.request_id)
    monkeypatch.setattr("services.executor.keeping.waiting.park", park)
    monkeypatch.setattr("services.executor.keeping.waiting.forget", forget)
    bed = Bed(max_in_flight_per_project=1)
    bed.stage.handle([bed.record(1, "slow"), bed.record(2, "slow", reply_to=None, answer_by_ms=0, keep_ms=0)])
    await asyncio.sleep(0.01)
    assert waiting == {"r2"}
    for end in list(bed.endings._running["r2"].values()):
        end(Cancelled("an operator has cancelled this execution"))
    await bed.settled(2)
    assert waiting == set()
    assert [event.reason for event in bed.events() if event.id == "r2"] == ["cancelled"]


async def test_answer_at_the_end_of_a_wait_is_kept_before_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    bed, kept = Bed(), []

    async def put(_: Any, project: str, result: Any, keep_ms: int) -> None:
        kept.append((project, result.id, result.state, len(bed.replies())))
    monkeypatch.setattr("shared.store.results.ResultWriter.put", put)
    bed.stage.handle([bed.record(1, answer_by_ms=bed.clock.now_ms() + 100)])
    await bed.settled(1)
    assert kept == [("p", "r1", "succeeded", 0)]
    assert len(bed.replies()) == 1
