"""Spans to an OTLP/HTTP receiver."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from pydantic import SecretStr

from shared.contracts.traceparent import TraceContext
from shared.kafka import spans as kafka_spans
from shared.kafka.faults import SendFailed
from shared.kafka.spans import SpanExport
from shared.runtime import span_sender
from shared.runtime.span_sender import SpanSender
from shared.runtime.tasks import Tasks
from shared.settings.telemetry import header_pairs
from shared.telemetry.metrics import Metrics
from shared.telemetry.tracing import Tracing
from tests.support.fakes import FakeOutbox
from tests.support.platform import eventually


@dataclass
class Receiver:
    """An OTLP receiver that answers with these statuses, then with 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    later: str = "0"
    says: bytes = b""

    async def take(self, request: web.Request) -> web.Response:
        self.headers = dict(request.headers)
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.taken.append(await request.read())
        return web.Response(status=status, body=self.says, content_type="application/x-protobuf",
                            headers={"Retry-After": self.later, "Location": "/elsewhere"})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    application = web.Application()
    application.router.add_post("/v1/traces", made.take)
    application.router.add_get("/elsewhere", made.take)
    server = TestServer(application)
    await server.start_server()
    made.url = str(server.make_url("")).rstrip("/")
    yield made
    await server.close()


def dropped(metrics: Metrics) -> float:
    lines = metrics.text()[0].decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("weir_spans_dropped_total"))


async def test_spans_go_to_the_topic_and_to_the_receiver(receiver: Receiver) -> None:
    tasks, metrics, tracing, outbox = Tasks(), Metrics(), Tracing("t", "t-0"), FakeOutbox()
    headers = header_pairs(SecretStr("authorization=Bearer abc, x-scope = weir\n"))
    sender = SpanSender(f"{receiver.url}/", headers, tasks, metrics)
    export = SpanExport(tracing, outbox, tasks, metrics, sender)  # type: ignore[arg-type]  # a double
    await sender.start()
    for _ in range(250):
        with tracing.span("step a", TraceContext.new(sampled=True)):
            pass
    await export.stop()
    await sender.stop()
    assert receiver.taken == [sent.value for sent in outbox.sent]
    found = [ExportTraceServiceRequest.FromString(payload) for payload in receiver.taken]
    assert [len(one.resource_spans[0].scope_spans[0].spans) for one in found] == [100, 100, 50]
    assert (receiver.headers["Authorization"], receiver.headers["x-scope"], receiver.headers["Content-Type"]) == (
        "Bearer abc", "weir", "application/x-protobuf")
    assert dropped(metrics) == 0


async def test_span_that_cannot_be_written_takes_no_other_with_it() -> None:
    tasks, metrics, tracing, outbox = Tasks(), Metrics(), Tracing("t", "t-0"), FakeOutbox()
    export = SpanExport(tracing, outbox, tasks, metrics)  # type: ignore[arg-type]  # a double
    for number in range(100):
        span = tracing.start(f"step {number}", TraceContext.new(sampled=True))
        assert span is not None
        if number in (17, 18, 99):
            span.start_ns = -1
        span.end()
    await export.stop()
    found = [ExportTraceServiceRequest.FromString(sent.value or b"") for sent in outbox.sent]
    assert [span.name for one in found for span in one.resource_spans[0].scope_spans[0].spans] == [
        f"step {number}" for number in range(100) if number not in (17, 18, 99)]
    assert dropped(metrics) == 3


async def test_broker_that_is_away_holds_so_many_spans_what_is_lost_is_counted_and_the_other_place_has_all(
        monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, metrics, tracing, outbox = Tasks(), Metrics(), Tracing("t", "t-0"), FakeOutbox()
    taken: list[int] = []
    export = SpanExport(tracing, outbox, tasks, metrics,  # type: ignore[arg-type]  # a double
                        lambda _, count: taken.append(count))

    async def ended(count: int) -> None:
        for _ in range(count):
            with tracing.span("step a", TraceContext.new(sampled=True)):
                pass
        await export.stop()
    await ended(100)
    monkeypatch.setattr(kafka_spans, "_MAX_BYTES", 3 * len(outbox.sent[0].value or b""))
    await ended(500)
    assert (len(outbox.sent), dropped(metrics)) == (3, 300)
    outbox.sent[0].done.set_result(None)
    outbox.sent[1].done.set_exception(SendFailed("not acknowledged"))
    # whoever waits for them hears of it in the next turn of the loop
    await asyncio.sleep(0)
    assert dropped(metrics) == 400
    await ended(200)
    assert (len(outbox.sent), dropped(metrics)) == (5, 400)
    assert taken == [100] * 8


async def test_receiver_that_is_busy_is_asked_again_and_one_that_refuses_is_not(receiver: Receiver) -> None:
    tasks, metrics = Tasks(), Metrics()
    sender = SpanSender(receiver.url, (), tasks, metrics)
    await sender.start()
    receiver.statuses = [503, 429]
    sender(b"a", 1)
    await eventually(lambda: receiver.taken == [b"a"])
    receiver.statuses = [400]
    sender(b"b", 7)
    await eventually(lambda: dropped(metrics) == 7)
    # whoever follows that comes with a GET and nothing in it
    receiver.statuses = [302]
    sender(b"c", 2)
    await eventually(lambda: dropped(metrics) == 9)
    await sender.stop()
    assert receiver.taken == [b"a"]


async def test_receiver_that_says_nothing_useful_of_when_to_ask_again_is_asked_again(
        receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_sender, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(span_sender, "_LONGEST_PAUSE_S", 0.01)
    tasks, metrics = Tasks(), Metrics()
    sender = SpanSender(receiver.url, (), tasks, metrics)
    await sender.start()
    for receiver.later in ("\u00b2", "9" * 5_000, "soon"):
        receiver.statuses = [429]
        sender(receiver.later.encode(), 1)
        await eventually(lambda: receiver.taken and receiver.taken[-1] == receiver.later.encode())
    assert not tasks.failed.done()
    await sender.stop()


async def test_receiver_that_is_away_holds_nobody_up_and_what_is_lost_is_counted(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_sender, "_LAST_S", 0.05)
    tasks, metrics = Tasks(), Metrics()
    sender = SpanSender("http://127.0.0.1:9", (), tasks, metrics)
    await sender.start()
    for _ in range(20):
        sender(b"x" * 1_000_000, 10)
    assert dropped(metrics) == 40
    async with asyncio.timeout(5):
        await sender.stop()
    assert dropped(metrics) == 200


async def test_spans_that_a_receiver_leaves_out_of_what_it_takes_are_counted(receiver: Receiver) -> None:
    tasks, metrics = Tasks(), Metrics()
    sender = SpanSender(receiver.url, (), tasks, metrics)
    await sender.start()
    receiver.says = ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(
        rejected_spans=3, error_message="too old")).SerializeToString()
    sender(b"a", 7)
    await eventually(lambda: dropped(metrics) == 3)
    # a warning, and nonsense: all were taken
    for receiver.says in (ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(
            error_message="soon")).SerializeToString(), b"\xff\xff"):
        taken = len(receiver.taken)
        sender(b"b", 7)
        await eventually(lambda taken=taken: len(receiver.taken) > taken)
    await sender.stop()
    assert dropped(metrics) == 3
