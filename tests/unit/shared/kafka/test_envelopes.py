"""Envelopes hold every event, within their bounds."""

import asyncio
from typing import Any, cast

from shared.contracts.codec import header_map
from shared.contracts.usage import MAX_BYTES, Envelope, UsageEvent
from shared.kafka import envelopes
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.outbox import Outbox
from shared.telemetry.metrics import Metrics
from tests.support.usage import event


class Published:
    """Takes records and acknowledges them at once."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.found: list[Envelope] = []

    def send(self, topic: str, value: bytes, headers: Any) -> asyncio.Future[None]:
        self.values.append(value)
        self.found.append(Envelope.from_record(value, header_map(headers)))
        acknowledged = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged


async def packed(events: list[UsageEvent]) -> Published:
    published = Published()
    usage = UsageEnvelopes(cast(Outbox, published), Metrics(muted=True))
    sent = [usage.add(one) for one in events]
    await usage.stop()
    await asyncio.gather(*sent)
    return published


async def test_all_events_go_out_in_order_with_numbers_without_a_gap() -> None:
    published = await packed([event(number) for number in range(450)])
    assert [one.id for envelope in published.found for one in envelope.events] == [str(n) for n in range(450)]
    assert [envelope.sequence for envelope in published.found] == list(range(len(published.found)))
    assert all(len(envelope.events) <= envelopes.MAX_EVENTS for envelope in published.found)


async def test_no_envelope_is_larger_than_its_bound_but_for_one_event_that_is() -> None:
    long = [event(number, observed=[f"{'p' * 190}:{at}" for at in range(100)]) for number in range(20)]
    published = await packed([*long, event(99, observed=["q" * 200] * 5_000)])
    assert sum(len(envelope.events) for envelope in published.found) == 21
    assert all(len(value) <= envelopes.MAX_BYTES + 2 for value in published.values)
    assert all(len(value) < MAX_BYTES for value in published.values)


async def test_envelope_is_written_as_the_contract_says() -> None:
    published = await packed([event(1), event(2)])
    assert published.values == [Envelope(producer="p", sequence=0, events=(event(1), event(2))).to_record()[0]]
