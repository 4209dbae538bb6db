"""Requests that wait for their answers."""

import pytest
from prometheus_client import CollectorRegistry

from shared.client.pending import Pending
from shared.contracts.ids import CorrelationIds
from shared.contracts.reply import ReplyRecord
from shared.errors import Overloaded, Unavailable
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
