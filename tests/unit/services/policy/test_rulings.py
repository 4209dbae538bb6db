"""What follows from rulings: the message that a call came by is given back when nothing comes of it."""

import asyncio
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import orjson
import pytest

from services.policy import rulings
from services.policy.claims import Claims
from services.policy.counters import Counters
from services.policy.inbox import Bench
from services.policy.parts import PolicyParts
from services.policy.results import Results
from services.policy.settings import PolicySettings
from services.policy.traces import PolicyTraces
from shared.contracts.codec import header_map
from shared.contracts.config import Halt
from shared.contracts.execution import ExecutionRecord
from shared.contracts.execution_result import ExecutionResult
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import ReplyAddress
from shared.contracts.request import RequestRecord
from shared.contracts.token import mark
from shared.contracts.usage import Envelope, UsageEvent
from shared.decision.book import PolicyBook
from shared.decision.vault import Vault
from shared.kafka.answers import Answers
from shared.kafka.batches import Instead
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.record import Record
from shared.names import topics
from shared.names.metrics import EXPIRED
from shared.project.canary import CANARY
from shared.runtime.tasks import Tasks
from shared.store import late
from shared.store.connection import Argument
from shared.store.last_used import LastUsed
from shared.store.redis import StoreUnavailable
from shared.telemetry.access import AccessLog
from shared.telemetry.metrics import Metrics
from shared.telemetry.sampling import Sampler
from shared.telemetry.tracing import Tracing
from tests.support.callers import AUTHENTICATION, SECRET, S
from tests.support.calls import DIGEST, NOW, SEAL, STEPS, book, case
from tests.support.fakes import FakeOutbox, FakeRecord, Headers, StoppedClock
from tests.support.issuer import signed
from tests.unit.services.policy.test_inbox import Counting, numbered

FAIR = {"name": "fair", "action": "accept", "limits": [{"limit": 1, "per": "minute", "by": ["header:x-key"]}]}
STRICT = {"body": {"type": "object", "required": ["a"]}}
OPERATIONS = [{"name": "sold", "method": "POST", "path": "/sold", "workflow": "w"},
              {"name": "strict", "method": "POST", "path": "/strict", "workflow": "w", "input": STRICT}]


class Holding(Counting):
    """Keeps idempotency keys, and remembers what is given back: (key, request id)."""

    def __init__(self) -> None:
        super().__init__()
        self.freed: list[tuple[str, str]] = []
        self.commands: list[Argument] = []
        self.kept: dict[Argument, Argument] = {}
        self.keeps = True

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        if script == "result":
            self.trips.append(script)
            if not self.keeps:
                raise StoreUnavailable(script)
            return None
        if script == "claim":
            return [self._claim(*one) for one in zip(arguments[::3], arguments[1::3], strict=True)]
        if script != "give_back":
            return await super().run(script, keys, arguments)
        if arguments[0] in self.kept:
            if _bytes(self.kept[arguments[0]]).startswith(_bytes(arguments[1])):
                del self.kept[arguments[0]]
            return 0
        key, request_id = (str(one) for one in arguments)
        self.freed.append((key, request_id))
        self.amounts.release(request_id, [key])
        return 1

    def _claim(self, key: Argument, value: Argument) -> Argument | None:
        """As claim.lua does."""
        there, whose = self.kept.get(key), _bytes(value).partition(b"\n")[0] + b"\n"
        if there is None or _bytes(there).startswith(whose):
            self.kept[key] = value if there is None else whose
        return there

    async def many(self, commands: Sequence[Sequence[Argument]], *, atomic: bool = False) -> list[Any]:
        return [await self.command(*parts) for parts in commands]

    async def command(self, *parts: Argument) -> Any:
        self.commands.append(parts[0])
        if parts[0] == "GET":
            return self.kept.get(parts[1])
        if parts[0] == "ZREM":
            self.amounts.release(str(parts[2]), [str(parts[1])])
        if parts[0] == "SET":
            self.kept[parts[1]] = parts[2]
        return None


def _bytes(argument: Argument) -> bytes:
    assert isinstance(argument, bytes)
    return argument


class Prompt(FakeOutbox):
    """Acknowledges at once; of the topics that are `cut` off nothing gets there, and those that are `narrow` take no
    record."""

    cut = narrow = frozenset[str]()

    def send(self, topic: str, value: bytes | None, headers: Headers, *, key: bytes | None = None,
             partition: int | None = None, instead: Instead | None = None) -> asyncio.Future[None]:
        done = super().send(topic, value, headers, key=key, partition=partition)
        if topic in self.narrow:
            self.sent.pop()
            assert instead is not None

            def refused() -> None:
                instead()
                done.set_result(None)
            asyncio.get_running_loop().call_soon(refused)
        elif topic in self.cut:
            self.sent.pop()
            done.set_exception(ConnectionError(topic))
        else:
            done.set_result(None)
        return done


class Court:
    """Policy without a broker."""

    def __init__(self, here: PolicyBook, store: Holding | None = None, outbox: Prompt | None = None, *,
                 keep_addresses: bool = False) -> None:
        self.outbox, self.store, self.tasks = outbox or Prompt(5_000), store or Holding(), Tasks()
        self.done: list[Record] = []
        self.awaited: list[list[asyncio.Future[None]]] = []
        self.clock = clock = StoppedClock(NOW)
        sender, metrics = cast(Any, self.outbox), Metrics()
        self.metrics = metrics
        self.last_used = LastUsed(self.store, self.tasks)
        self.usage, letters = UsageEnvelopes(sender, metrics), DeadLetters(sender, metrics, clock, "policy")
        self._bench = Bench(cast(PolicyParts, SimpleNamespace(
            settings=PolicySettings(), clock=clock, book=here, tasks=self.tasks, outbox=sender, metrics=metrics,
            traces=PolicyTraces(Tracing("policy", "i"), Sampler(clock, ratio=0, max_per_s=0), clock, 1_000),
            intake=SimpleNamespace(finish_after=self._finish_after), dead_letters=letters,
            answers=Answers(sender, letters), usage=self.usage, access=AccessLog(0),
            last_used=self.last_used, keep_addresses=keep_addresses,
            results=Results(self.store, self.tasks, 1_000), claims=Claims(self.store, self.tasks),
            counters=Counters(self.store, clock, metrics, self.tasks, instances=1, rest_ms=1_000))))

    def _finish_after(self, records: Iterable[Record], effects: Iterable[asyncio.Future[None]]) -> None:
        self.done.extend(records)
        self.awaited.append([*effects])

    async def hear(self, number: int, operation: str = "sold", *, body: bytes = b"{}", key: str = "",
                   prefer: str | None = None, message: str = "msg", token: str | None = None,
                   idempotency_key: str | None = None, params: dict[str, Any] | None = None,
                   deadline_ms: int | None = None) -> int:
        """A message comes, signed unless there is a token; the status of its answer, 0 where it goes on or is dead."""
        request_id = numbered(number)
        found = case(book([]), operation, request_id=request_id, token=token, body=body, method="POST",
                     sealed=None if token else {"signature": signed(SECRET, message, S, body)},
                     headers={"webhook-id": message, "webhook-timestamp": str(S), "x-key": key or request_id})
        to = ReplyAddress(correlation_id=request_id.encode(), topic=topics.REPLIES, partition=0)
        request = msgspec.structs.replace(found.request, prefer=prefer, content_type="application/json",
                                           idempotency_key=idempotency_key, params=params or found.request.params,
                                           deadline_ms=deadline_ms)
        before = len(self.outbox.sent)
        await self.take(FakeRecord(topics.REQUESTS_EDGE, timestamp=NOW, value=body, headers=[*request.enclosed(to)]))
        told = self.replies(before)
        assert len(told) <= 1, "nobody is answered twice"
        return told[0].status if told else 0

    async def take(self, *records: Record) -> None:
        """A poll comes, and everything that follows from it."""
        self._bench.handle(records)
        async with asyncio.timeout(5):
            while any(task.get_name() != late.LATE for task in self.tasks._running):
                self.usage.flush()
                await asyncio.sleep(0)

    def events(self) -> list[UsageEvent]:
        """What is told of usage."""
        self.usage.flush()
        return [event for sent in self.outbox.sent if sent.topic == topics.USAGE
                for event in Envelope.from_record(sent.value, header_map(cast(Any, sent.headers))).events]

    def replies(self, begin: int = 0) -> list[ReplyRecord]:
        return [ReplyRecord.from_headers(header_map(cast(Any, sent.headers)), sent.value)
                for sent in self.outbox.sent[begin:] if sent.topic == topics.REPLIES]

    def executions(self) -> list[ExecutionRecord]:
        return [ExecutionRecord.from_headers(header_map(cast(Any, sent.headers)), sent.value)
                for sent in self.outbox.sent if sent.topic == topics.EXECUTIONS]


@pytest.fixture
def here() -> PolicyBook:
    return book([FAIR], Vault(seal=SEAL, secrets={"TILL": SECRET}), authentication=AUTHENTICATION,
                operations=OPERATIONS)


async def test_admitted_message_stays_taken_and_its_execution_knows_what_to_give_back(here: PolicyBook) -> None:
    court = Court(here)
    assert await court.hear(1) == 0
    execution, = court.executions()
    assert execution.once.startswith("weir:seen:p:")
    assert await court.hear(2) == 401
    assert court.store.freed == []


async def test_calls_to_which_a_publisher_gives_one_id_have_a_place_each() -> None:
    few = {"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project"}]}
    court, to = Court(book([few])), ReplyAddress(correlation_id=b"1", topic=topics.REPLIES, partition=0)
    request = msgspec.structs.replace(case(book([])).request, request_id=numbered(1))
    records = [FakeRecord(topics.REQUESTS_INTERNAL, offset=offset, timestamp=NOW, headers=[*request.addressed(to)])
               for offset in range(2)]
    await court.take(*records)
    assert ([one.holder for one in court.executions()], [told.status for told in court.replies()]) == (
        [f"{numbered(1)}@weir.requests.internal/0/0"], [429])
    # delivered again it finds its own
    await court.take(records[0])
    assert len(court.executions()) == 2


@pytest.mark.parametrize(("prefer", "durable", "waits", "keep_ms", "answer_by_ms"), [
    (None, False, True, 1_000, NOW + 30_000), (None, True, True, 1_000, 0), ("respond-async", False, False, 1_000, 0)])
async def test_execution_knows_what_the_executor_needs_and_whom_to_answer_unless_that_is_done(
        prefer: str | None, durable: bool, waits: bool, keep_ms: int, answer_by_ms: int) -> None:
    few = {"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project"}]}
    court = Court(book([FAIR, few], operations=OPERATIONS, workflows={
        "w": {"name": "w", "steps": STEPS, "durable": durable}}))
    await court.hear(1, token=DIGEST, key="k", idempotency_key="key", prefer=prefer)
    ran, = court.executions()
    assert (ran.project, ran.version, ran.operation, ran.client, ran.token, ran.source) == (
        "p", 3, "sold", "c", "t", "edge")
    assert (str(ran.origin), ran.request_id, ran.deadline_ms) == ("weir.requests.edge/0/0", numbered(1), NOW + 300_000)
    assert (ran.trigger["headers"]["x-key"], ran.content_type, ran.idempotency_key) == ("k", "application/json", "key")
    assert ({*ran.timing}, len(ran.holds), {*ran.answer_headers}) == (
        {"policy-queue", "policy"}, 1, {"RateLimit", "RateLimit-Policy"})
    assert (ran.reply_to is not None) is waits
    assert {*ran.claim} == ({"key", "digest", "keep_ms"} if waits else set())
    assert (ran.keep_ms, ran.answer_by_ms) == (keep_ms, answer_by_ms)
    assert court.last_used._noted == {"t": NOW}


async def test_record_of_a_call_that_is_answered_at_once_is_not_done_before_its_execution_is_there(
        here: PolicyBook) -> None:
    court = Court(here)
    court.outbox.cut = frozenset({topics.EXECUTIONS})
    await court.hear(1, token=DIGEST, prefer="respond-async")
    assert court.tasks.failed.done()


@pytest.mark.parametrize("policies", [[], [FAIR]], ids=["at once", "after the store"])
async def test_record_is_done_when_all_that_follows_from_it_is_there(policies: list[dict[str, Any]]) -> None:
    court = Court(book(policies, operations=OPERATIONS))
    assert [await court.hear(1, token=DIGEST), await court.hear(2, "strict", token=DIGEST)] == [0, 400]
    admitted, refused = court.awaited
    assert admitted == [sent.done for sent in court.outbox.sent if sent.topic == topics.EXECUTIONS]
    assert len(refused) == 2, "its answer, and what is told of usage"


async def test_call_that_wants_its_answer_where_none_may_go_is_dead() -> None:
    court = Court(book([], operations=[{**OPERATIONS[0], "public": True}]))
    for topic in ("weir.config", "weir.requests.internal", "x.replies.", "replies"):
        request = RequestRecord(project="p", operation="sold", reply_to=ReplyAddress(correlation_id=b"c", topic=topic))
        await court.take(FakeRecord(topics.REQUESTS_INTERNAL, timestamp=NOW, value=b"", headers=[
            *request.to_headers()]))
    assert [sent.topic for sent in court.outbox.sent] == [topics.DEAD_LETTERS] * 4


async def test_nobody_can_guess_the_id_of_a_call_from_inside_who_does_not_know_what_it_says() -> None:
    court = Court(book([], operations=[{**OPERATIONS[0], "public": True}]))
    for body, header in ((b"", b""), (b"x", b""), (b"", b"x"), (b"", None)):
        request = RequestRecord(project="p", operation="sold", body=body)
        await court.take(FakeRecord(topics.REQUESTS_INTERNAL, timestamp=NOW, value=body, headers=[
            *request.to_headers(), *([("x-any", header)] if header is not None else [])]))
    assert len({ran.request_id for ran in court.executions()}) == 4


@pytest.mark.parametrize(("timestamp", "waited_us"), [(NOW - 5, 5_000), (NOW, 0), (NOW + 5, 0)])
async def test_time_in_the_queue_is_told_and_is_never_less_than_nothing(timestamp: int, waited_us: int) -> None:
    court = Court(book([], operations=[{**OPERATIONS[0], "public": True}]))
    request = RequestRecord(project="p", operation="sold")
    await court.take(FakeRecord(topics.REQUESTS_INTERNAL, timestamp=timestamp, value=b"", headers=[
        *request.to_headers()]))
    assert court.executions()[0].timing == {"policy-queue": waited_us, "policy": 0}


async def test_execution_is_as_deep_as_the_call_that_it_came_by() -> None:
    court = Court(book([], operations=[{**OPERATIONS[0], "public": True}]))
    trace = f"00-{'a' * 32}-{'b' * 16}-00"
    request = RequestRecord(project="p", operation="sold", depth=3, traceparent=trace, tracestate="a=1", baggage="b=2")
    await court.take(FakeRecord(topics.REQUESTS_INTERNAL, timestamp=NOW, value=b"", headers=[*request.to_headers()]))
    ran, = court.executions()
    assert (ran.depth, ran.tracestate, ran.baggage, ran.source) == (3, "a=1", "b=2", "internal")
    assert (ran.traceparent or "")[3:35] == "a" * 32


@pytest.mark.parametrize(("keep", "wanted"), [(True, True), (True, False), (False, True), (False, False)])
async def test_address_goes_no_further_unless_the_platform_and_the_owner_want_it(keep: bool, wanted: bool) -> None:
    court = Court(book([], operations=OPERATIONS, abuse={"addresses": wanted}), keep_addresses=keep)
    assert [await court.hear(1, token=DIGEST), await court.hear(2, "none", token=DIGEST)] == [0, 404]
    assert [one.address for one in court.executions()] == ["10.1.2.3" if keep and wanted else ""]
    assert [event.address for event in court.events()] == ["10.1.2.3" if keep and wanted else None]


@pytest.mark.parametrize(("call", "told", "who", "proof"), [
    ({"operation": "none", "token": DIGEST}, (404, "operation-not-found", ""), ("", None), None),
    ({"operation": "strict", "token": DIGEST}, (400, "input-invalid", "strict"), ("c", "t"), None),
    ({"token": "0" * 64}, (401, "credentials-invalid", "sold"), ("", None), mark("0" * 64)),
    ({"token": DIGEST, "prefer": "respond-async"}, (503, "unavailable", "sold"), ("c", "t"), None)])
async def test_call_that_ends_here_is_counted_with_who_asked_what_and_why(
        call: dict[str, Any], told: tuple[int, str, str], who: tuple[str, str | None], proof: str | None) -> None:
    watch = {"name": "watch", "action": "reject", "mode": "observe"}
    court = Court(book([FAIR, watch], operations=OPERATIONS))
    court.store.keeps = False
    await court.hear(1, **call)
    (reply,), (event,) = court.replies(), court.events()
    assert (event.status, event.reason, event.operation) == told
    assert (event.client, event.token, event.proof) == (*who, proof)
    assert (event.kind, event.id, event.time, event.project) == ("request", numbered(1), NOW, "p")
    assert (event.source, event.origin, event.address) == ("edge", "weir.requests.edge/0/0", None)
    assert (event.bytes_in, event.bytes_out, {*event.timing}) == (2, len(reply.body), {"policy-queue", "policy"})
    assert event.observed == (["watch:reject"] if who[0] else [])
    assert (event.trace_id, event.span_id) == ((reply.traceparent or "")[3:35], None)
    assert ("RateLimit" in reply.headers, reply.client) == (bool(who[0]), "c" if event.status >= 500 else "")


@pytest.mark.parametrize(("record", "value", "status"), [
    ({"deadline_ms": NOW}, b"", 504), ({}, b"x" * 4_000_000, 413), ({"secret": True}, b"", 401)])
async def test_call_that_is_refused_before_anybody_looks_whose_it_is_counts_for_its_project_and_not_for_the_canary(
        record: dict[str, Any], value: bytes, status: int) -> None:
    court = Court(book([], operations=OPERATIONS))
    to = ReplyAddress(correlation_id=b"c", topic=topics.REPLIES)
    for called in ({"project": "p", "operation": "sold"}, {"project": "p", "method": "POST", "path": "/sold"},
                   {"project": "q", "operation": "sold"}, {"project": CANARY.name, "operation": "ping"}):
        request = RequestRecord(**called, deadline_ms=record.get("deadline_ms"), reply_to=to)
        await court.take(FakeRecord(topics.REQUESTS_INTERNAL, timestamp=NOW, value=value, headers=[
            *request.to_headers(), *([("authorization", b"Bearer x")] if "secret" in record else [])]))
    assert [reply.status for reply in court.replies()] == [status] * 4
    assert [(event.project, event.operation) for event in court.events()] == [("p", "sold"), ("p", "sold"), ("", "")]
    late = court.metrics.registry.get_sample_value(f"{EXPIRED.name}_total")
    assert (late or 0) == (4 if status == 504 else 0)


async def test_address_of_a_call_that_comes_too_late_goes_no_further_than_its_owner_wants() -> None:
    court = Court(book([], operations=OPERATIONS, abuse={"addresses": False}), keep_addresses=True)
    assert await court.hear(1, token=DIGEST, deadline_ms=NOW) == 504
    assert [event.address for event in court.events()] == [None]


async def test_request_that_comes_again_from_the_topic_is_not_its_own_replay(here: PolicyBook) -> None:
    court = Court(here)
    assert [await court.hear(1, key=key) for key in ("1", "2")] == [0, 0]
    assert [execution.request_id for execution in court.executions()] == [numbered(1)] * 2


@pytest.mark.parametrize(("call", "status"), [
    ({"operation": "strict"}, 400), ({"body": b"{\"a\": \"" + b"x" * 6_000 + b"\"}"}, 413),
    ({"key": "spent"}, 429), ({"prefer": "respond-async"}, 503)])
async def test_message_that_is_refused_may_come_again(here: PolicyBook, call: dict[str, Any], status: int) -> None:
    court = Court(here)
    court.store.keeps = False
    assert await court.hear(3, message="other", key="spent") == 0
    assert await court.hear(1, **call) == status
    (_, request_id), = court.store.freed
    assert request_id == numbered(1)
    assert await court.hear(2) == 0


async def test_message_may_come_again_though_nobody_knows_whether_it_was_taken(here: PolicyBook) -> None:
    court = Court(here)
    court.store.away = True
    assert await court.hear(1) == 503
    assert [request_id for _, request_id in court.store.freed] == [numbered(1)]


async def test_message_of_a_call_that_cannot_be_decided_may_come_again(
        here: PolicyBook, monkeypatch: pytest.MonkeyPatch) -> None:
    court = Court(here)
    with monkeypatch.context() as broken:
        broken.setattr(rulings, "ExecutionRecord", None)
        assert await court.hear(1) == 0
    assert [sent.topic for sent in court.outbox.sent] == [topics.DEAD_LETTERS]
    assert [request_id for _, request_id in court.store.freed] == [numbered(1)]
    assert await court.hear(2, key="2") == 0


async def test_key_of_a_call_that_cannot_be_decided_is_free_again(
        here: PolicyBook, monkeypatch: pytest.MonkeyPatch) -> None:
    court = Court(here)
    with monkeypatch.context() as broken:
        broken.setattr(rulings, "ExecutionRecord", None)
        assert await court.hear(1, token=DIGEST, idempotency_key="k") == 0
    assert [sent.topic for sent in court.outbox.sent] == [topics.DEAD_LETTERS]
    assert court.store.kept == {}


async def test_place_that_the_store_gave_without_saying_so_is_given_back_where_this_instance_refuses() -> None:
    few = {"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project"}]}
    court = Court(book([few], operations=OPERATIONS))
    court.store.away = True
    assert await court.hear(1, token=DIGEST) == 0, "this instance lets it in by itself"
    court.store.away, court.store.late = False, True
    court.clock.now += 1_000
    assert await court.hear(2, token=DIGEST) == 429
    court.store.late = False
    court.clock.now += 1_000
    assert await court.hear(3, token=DIGEST) == 0


async def test_place_of_an_observed_limit_that_the_store_may_have_given_is_given_back_when_the_call_ends() -> None:
    few = {"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project", "mode": "observe"}]}
    court = Court(book([few], operations=OPERATIONS))
    court.store.away = True
    assert await court.hear(1, token=DIGEST) == 0
    court.store.away, court.store.late = False, True
    court.clock.now += 1_000
    assert await court.hear(2, token=DIGEST) == 0
    first, second = court.executions()
    assert (second.observed, second.holds) == (("few:limit",), first.holds)


async def test_call_without_a_signature_gives_nothing_back(here: PolicyBook) -> None:
    court = Court(here)
    assert [await court.hear(number, key="1", token=DIGEST) for number in (1, 2)] == [0, 429]
    assert ([execution.once for execution in court.executions()], court.store.freed) == ([""], [])


@pytest.mark.parametrize("prefer", [None, "respond-async"])
async def test_call_that_no_record_can_hold_is_told_so_alone_and_its_key_is_free_again(
        here: PolicyBook, prefer: str | None) -> None:
    court, body = Court(here), b"{\"a\": \"" + b"x" * 6_000 + b"\"}"
    assert await court.hear(1, body=body, token=DIGEST, prefer=prefer, idempotency_key="k") == 413
    assert (court.executions(), court.store.commands) == ([], [])
    assert court.store.kept == {}
    assert "result" not in court.store.trips, "no execution that never runs"


@pytest.mark.parametrize(("prefer", "status", "letters"), [(None, 413, []), ("respond-async", 202, [b"{}"])])
async def test_call_of_which_the_broker_does_not_take_the_execution_is_refused_or_dead_and_ends_nothing(
        here: PolicyBook, prefer: str | None, status: int, letters: list[bytes]) -> None:
    court = Court(here)
    court.outbox.narrow = frozenset({topics.EXECUTIONS})
    assert await court.hear(1, body=b"{}", token=DIGEST, prefer=prefer, idempotency_key="k") == status
    assert [sent.value for sent in court.outbox.sent if sent.topic == topics.DEAD_LETTERS] == letters
    assert len(court.done) == 1
    assert not court.tasks.failed.done()


async def test_key_of_a_call_that_could_not_be_accepted_is_free_again(here: PolicyBook) -> None:
    court = Court(here)
    court.store.keeps = False
    assert await court.hear(1, token=DIGEST, prefer="respond-async", idempotency_key="k") == 503
    assert court.store.kept == {}
    assert court.replies()[0].headers["Retry-After"] == "2"


async def test_call_of_a_stopped_workflow_is_not_accepted_and_its_key_is_free_again(here: PolicyBook) -> None:
    court = Court(here)
    call = {"token": DIGEST, "prefer": "respond-async", "idempotency_key": "k"}
    here.take([Halt(project="p", workflow="w", halted=True, reason="stock is wrong", time=1)])
    assert await court.hear(1, key="1", **call) == 503
    assert b"workflow 'w' is stopped by an operator: stock is wrong" in court.replies()[0].body
    assert (court.executions(), court.store.kept, "result" in court.store.trips) == ([], {}, False)
    here.take([Halt(project="p", workflow="w", halted=False, time=2)])
    assert await court.hear(2, key="2", **call) == 202


async def test_call_whose_execution_was_not_published_runs_when_it_comes_again(here: PolicyBook) -> None:
    court = Court(here)
    call = {"token": DIGEST, "prefer": "respond-async", "idempotency_key": "k"}
    court.outbox.cut = frozenset({topics.EXECUTIONS})
    assert await court.hear(1, **call) == 0, "nobody is told that it runs"
    assert court.store.commands == []
    court.outbox.cut = frozenset()
    assert await court.hear(1, key="1", **call) == 202
    assert await court.hear(1, key="2", **call) == 202, "what was kept is told again"
    assert [execution.request_id for execution in court.executions()] == [numbered(1)]


async def test_202_says_what_is_left_of_the_limits_and_not_when_it_is_told_again(here: PolicyBook) -> None:
    court = Court(here)
    call = {"token": DIGEST, "prefer": "respond-async", "idempotency_key": "k", "key": "1"}
    assert [await court.hear(1, **call), await court.hear(2, **call)] == [202, 202]
    first, again = court.replies()
    assert (first.headers["RateLimit-Policy"], first.headers["RateLimit"]) == ('"fair";q=1;w=60', '"fair";r=0;t=60')
    assert "Location" in first.headers
    assert "RateLimit" not in again.headers, "that was then"
    assert (again.headers["Location"], again.headers["Idempotency-Replayed"]) == (first.headers["Location"], "true")
    assert (again.status, again.content_type, again.body) == (first.status, first.content_type, first.body)


@pytest.mark.parametrize(("mode", "prefer", "kept", "applied"), [
    ("request_response", "respond-async", True, {"Preference-Applied": "respond-async"}), ("validate", None, True, {}),
    ("fire_and_forget", None, False, {}),
    ("fire_and_forget", "respond-async", True, {"Preference-Applied": "respond-async"})])
async def test_202_names_the_execution_and_where_its_result_will_be_if_it_is_kept(
        mode: str, prefer: str | None, kept: bool, applied: dict[str, str]) -> None:
    court = Court(book([], operations=[{**OPERATIONS[0], "mode": mode}]))
    assert await court.hear(1, token=DIGEST, prefer=prefer) == 202
    reply, = court.replies()
    where = f"/p/-/executions/{numbered(1)}"
    assert orjson.loads(reply.body) == {
        "execution": numbered(1), "status": "accepted", **({"result": where} if kept else {})}
    assert reply.headers == {**applied, **({"Location": where} if kept else {})}
    assert court.store.trips == (["result"] if kept else [])


@pytest.mark.parametrize(("whose", "asks", "status"), [("c", DIGEST, 200), ("", DIGEST, 200), ("d", DIGEST, 404)],
                         ids=["its client", "no client's", "another client's"])
async def test_execution_is_told_to_whoever_started_it_alone(whose: str, asks: str, status: int) -> None:
    court = Court(book([], operations=OPERATIONS))
    known = ExecutionResult(id=numbered(7), operation="sold", client=whose, state="accepted", accepted=NOW)
    court.store.kept[f"weir:execution:p:{known.id}"] = known.to_bytes()
    assert await court.hear(1, "weir-execution", token=asks, params={"id": known.id}) == status
    if status == 200:
        headers = court.replies()[0].headers
        assert (headers["Cache-Control"], headers["Retry-After"]) == ("no-store", "1")


async def test_whoever_asks_for_a_result_is_told_to_try_again_while_the_store_is_away(
        here: PolicyBook, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Argument) -> None:
        raise StoreUnavailable("away")

    court = Court(here)
    monkeypatch.setattr(court.store, "command", away)
    assert await court.hear(1, "weir-execution", token=DIGEST, params={"id": numbered(7)}) == 503
    assert court.replies()[0].headers["Retry-After"] == "2"


async def test_question_what_became_of_an_execution_holds_no_place_and_no_key_once_it_is_answered() -> None:
    at_once = {"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project"}]}
    court = Court(book([at_once], operations=OPERATIONS))
    known = ExecutionResult(id=numbered(7), operation="sold", client="", state="accepted", accepted=NOW)
    court.store.kept[f"weir:execution:p:{known.id}"] = known.to_bytes()
    call = {"operation": "weir-execution", "token": DIGEST, "params": {"id": known.id}, "idempotency_key": "k"}
    assert [await court.hear(number, **call) for number in (1, 2, 3)] == [200, 200, 200]


async def test_question_what_became_of_no_execution_is_refused(here: PolicyBook) -> None:
    assert await Court(here).hear(1, "weir-execution", token=DIGEST, params={"other": "1"}) == 400
    assert await Court(here).hear(1, "weir-execution", token=DIGEST, params={"id": "1"}) == 404


async def test_result_that_is_nested_as_deep_as_can_be_written_is_told_as_it_is(here: PolicyBook) -> None:
    court, deep = Court(here), b"[" * 254 + b"]" * 254
    known = ExecutionResult(id=numbered(7), operation="sold", client="", state="accepted", accepted=NOW).answered(
        ReplyRecord(request_id=numbered(7), status=200, body=deep), NOW, 1, (), well=True)
    court.store.kept[f"weir:execution:p:{known.id}"] = known.to_bytes()
    assert await court.hear(1, "weir-execution", token=DIGEST, params={"id": known.id}) == 200
    assert orjson.loads(court.replies()[0].body)["result"]["body"] == orjson.loads(deep)
    assert "Retry-After" not in court.replies()[0].headers, "it is over"


async def test_result_that_is_too_large_once_it_is_a_text_in_json_is_refused_and_not_left_without_an_answer() -> None:
    at_once = {"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project"}]}
    court = Court(book([at_once], operations=OPERATIONS))
    known = ExecutionResult(id=numbered(7), operation="sold", client="", state="accepted", accepted=NOW).answered(
        ReplyRecord(request_id=numbered(7), status=200, content_type="text/csv", body=b'"' * 600_000),
        NOW, 1, (), well=True)
    court.store.kept[f"weir:execution:p:{known.id}"] = known.to_bytes()
    call = {"operation": "weir-execution", "token": DIGEST, "params": {"id": known.id}, "idempotency_key": "k"}
    assert [await court.hear(number, **call) for number in (1, 2)] == [500, 500], "neither place nor key is held"
    assert "too large to be told" in orjson.loads(court.replies()[0].body)["detail"]
    assert topics.DEAD_LETTERS not in {sent.topic for sent in court.outbox.sent}


async def test_question_for_what_cannot_be_read_is_dead_and_holds_no_place_and_no_key() -> None:
    at_once = {"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project"}]}
    court = Court(book([at_once], operations=OPERATIONS))
    court.store.kept[f"weir:execution:p:{numbered(7)}"] = b'{"state": "of a newer version"}'
    call = {"operation": "weir-execution", "token": DIGEST, "params": {"id": numbered(7)}, "idempotency_key": "k"}
    assert [await court.hear(number, **call) for number in (1, 2)] == [0, 0]
    assert [sent.topic for sent in court.outbox.sent] == [topics.DEAD_LETTERS] * 2
    assert not court.tasks.failed.done()


async def test_call_from_inside_without_an_id_is_the_same_one_when_its_record_comes_again() -> None:
    few = {"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project"}]}
    court = Court(book([few], operations=[{**OPERATIONS[0], "public": True}]))
    request = RequestRecord(project="p", operation="sold", idempotency_key="k", reply_to=ReplyAddress(
        correlation_id=b"c", topic=topics.REPLIES))
    for offset in (7, 7, 8):
        await court.take(FakeRecord(topics.REQUESTS_INTERNAL, offset=offset, timestamp=NOW, value=b"",
                                    headers=[*request.to_headers()]))
    first, again = court.executions()
    assert first.request_id == again.request_id
    assert [reply.status for reply in court.replies()] == [409], "another one with this key is another call"


@pytest.mark.parametrize("timestamp", [-1, 0, -10**13, -2**62, 2**62])
async def test_call_whose_record_tells_no_time_that_can_be_spoils_nothing(timestamp: int) -> None:
    court = Court(book([], operations=[{**OPERATIONS[0], "public": True}]))
    for number, operation in enumerate(("sold", "nothing")):
        request = RequestRecord(project="p", operation=operation, reply_to=ReplyAddress(
            correlation_id=b"c", topic=topics.REPLIES))
        await court.take(FakeRecord(topics.REQUESTS_INTERNAL, offset=number, timestamp=timestamp, value=b"",
                                    headers=[*request.to_headers()]))
    told = [reply.status for reply in court.replies()]
    assert (told, len(court.executions()), len(court.events())) == ([404], 1, 1)


async def test_message_and_key_of_a_call_that_runs_stay_taken_though_its_record_comes_again_and_is_refused(
        here: PolicyBook) -> None:
    court = Court(here)
    assert [await court.hear(1, key="same") for _ in range(2)] == [0, 429]
    assert (await court.hear(2, key="other"), court.store.freed) == (401, [])
    call = {"token": DIGEST, "idempotency_key": "k"}
    assert [await court.hear(3, key="third", **call) for _ in range(2)] == [0, 429]
    assert (await court.hear(4, key="fourth", **call), court.store.commands) == (409, [])
    assert [execution.request_id for execution in court.executions()] == [numbered(1), numbered(3)]
