"""Requests that wait for their answers."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from shared.client.pending import Parts, Pending
from shared.contracts.ids import CorrelationIds
from shared.contracts.reply import ReplyRecord
from shared.errors import Overloaded, StreamBroken, TimedOut, Unavailable
from shared.telemetry.metrics import Metrics

REPLY = ReplyRecord(request_id="r", status=200)


def dropped(registry: CollectorRegistry, why: str) -> float | None:
    return registry.get_sample_value("weir_replies_dropped_total", {"why": why})


async def test_reply_reaches_the_one_who_waits() -> None:
    pending = Pending(10, Metrics())
    correlation_id, answer = pending.add()
    assert pending.resolve(correlation_id, REPLY)
    assert await answer == REPLY
    assert len(pending) == 0


async def test_second_reply_with_same_correlation_id_is_counted_and_dropped() -> None:
    metrics = Metrics()
    pending = Pending(10, metrics)
    correlation_id, _ = pending.add()
    pending.resolve(correlation_id, REPLY)
    assert not pending.resolve(correlation_id, REPLY)
    assert dropped(metrics.registry, "late") == 1


async def test_foreign_reply_is_counted_and_dropped() -> None:
    metrics = Metrics()
    pending = Pending(10, metrics)
    assert not pending.resolve(CorrelationIds().new(), REPLY)
    assert dropped(metrics.registry, "foreign") == 1


async def test_reply_after_the_caller_has_gone_is_late() -> None:
    metrics = Metrics()
    pending = Pending(10, metrics)
    correlation_id, _ = pending.add()
    pending.drop(correlation_id)
    assert not pending.resolve(correlation_id, REPLY)
    assert dropped(metrics.registry, "late") == 1


async def test_request_past_the_bound_is_refused_at_once() -> None:
    pending = Pending(2, Metrics())
    first, _ = pending.add()
    pending.add()
    with pytest.raises(Overloaded) as refused:
        pending.add()
    assert refused.value.headers["Retry-After"]
    pending.drop(first)
    pending.add()


async def test_failed_request_ends_with_the_error() -> None:
    pending = Pending(2, Metrics())
    correlation_id, answer = pending.add()
    pending.fail(correlation_id, Unavailable("away"))
    with pytest.raises(Unavailable):
        await answer


async def ended(answer: asyncio.Future[ReplyRecord]) -> tuple[str, float]:
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimedOut) as caught:
        await answer
    return str(caught.value), asyncio.get_running_loop().time() - began


async def test_each_wait_ends_when_its_own_time_is_over_and_never_before() -> None:
    pending = Pending(10, Metrics())
    # the later one came first: the timer that stands for both has to be moved
    waits = (150, 30, 90, 31)
    found = await asyncio.gather(*(ended(pending.add(timeout_ms)[1]) for timeout_ms in waits))
    for timeout_ms, (told, took_s) in zip(waits, found, strict=True):
        assert told == f"no answer within {timeout_ms} ms"
        assert timeout_ms / 1000 <= took_s + 0.002
    assert len(pending) == 0


async def test_answered_request_does_not_time_out_and_one_that_comes_later_does() -> None:
    pending = Pending(10, Metrics())
    correlation_id, answer = pending.add(20)
    assert pending.resolve(correlation_id, REPLY)
    forgotten, _ = pending.add(20)
    pending.drop(forgotten)
    await asyncio.sleep(0.05)
    assert await answer == REPLY
    assert (await ended(pending.add(20)[1]))[0] == "no answer within 20 ms"


async def test_answer_after_its_time_is_late() -> None:
    metrics = Metrics()
    pending = Pending(10, metrics)
    correlation_id, answer = pending.add(10)
    await ended(answer)
    heard: list[ReplyRecord] = []
    pending.tell(correlation_id, heard.append)
    assert not pending.resolve(correlation_id, REPLY)
    assert (heard, dropped(metrics.registry, "late")) == ([REPLY], 1)


def part(sequence: int, size: int) -> ReplyRecord:
    return ReplyRecord(request_id="r", status=200, body=bytes(size), sequence=sequence)


async def read(parts: Parts) -> list[int]:
    """The numbers of all parts to the error that ends them."""
    found: list[int] = []

    async def on() -> None:
        while True:
            found.append((await parts.next(1)).sequence or 0)
    with pytest.raises(StreamBroken, match="reads too slowly"):
        await on()
    return found


@pytest.mark.parametrize(("size", "arrive"), [(1, 31_968), (900_000, 35), (40_000_000, 1)])
async def test_events_that_nobody_reads_are_bounded(size: int, arrive: int) -> None:
    pending = Pending(10, Metrics())
    correlation_id, parts = pending.add_parts()
    taken = [pending.resolve(correlation_id, part(sequence, size)) for sequence in range(arrive + 2)]
    assert taken == [*[True] * (arrive + 1), False]
    assert (await read(parts), len(pending)) == ([*range(arrive)], 0)


async def test_whoever_reads_loses_no_event_however_many_come() -> None:
    _, parts = (pending := Pending(10, Metrics())).add_parts()
    _, other = pending.add_parts()
    for sequence in range(100):
        parts.take(part(sequence, 900_000))
        assert (await parts.next(1)).sequence == sequence
        other.take(part(sequence, 100_000))
    assert not parts.ended.done()


async def test_events_of_all_callers_together_are_bounded_and_those_of_one_who_has_gone_count_no_more() -> None:
    pending = Pending(10, Metrics())
    slow = [pending.add_parts()[1] for _ in range(6)]
    for parts in slow:
        for sequence in range(30):
            parts.take(part(sequence, 1_000_000))
    # the fifth is the one that comes above what all may hold
    assert [parts.ended.done() for parts in slow] == [False] * 4 + [True] * 2
    assert await read(slow[5]) == [0]
    for parts in slow:
        parts.leave()
    _, late = pending.add_parts()
    for sequence in range(30):
        late.take(part(sequence, 1_000_000))
    assert not late.ended.done()


async def test_answers_in_parts_leave_places_to_others() -> None:
    pending = Pending(8, Metrics())
    streams = [pending.add_parts()[0] for _ in range(6)]
    with pytest.raises(Overloaded, match="6 streams of events are open here already"):
        pending.add_parts()
    pending.add()
    pending.drop(streams[0])
    pending.fail(streams[1], TimedOut("over"))
    await asyncio.sleep(0)
    assert [len(pending.add_parts()) for _ in range(2)] == [2, 2]
    with pytest.raises(Overloaded):
        pending.add_parts()
