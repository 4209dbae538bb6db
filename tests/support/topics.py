"""What stands in topics."""

from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer

from shared.names import topics as names
from tests.support.platform import Platform, eventually


async def records(platform: Platform, *topics: str) -> list[bytes]:
    """Every record of some topics, as one text each."""
    found: list[bytes] = []
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=platform.bootstrap,
                                group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    places = list(consumer.assignment())
    assert {place.topic for place in places} == set(topics)
    begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    left = {place for place in places if ends[place] > begins[place]}
    while left:
        for batch in (await consumer.getmany(timeout_ms=500)).values():
            found += [b"\n".join([record.key or b"", record.value or b"", *(
                key.encode() + b"=" + value for key, value in record.headers)]) for record in batch]
        left = {place for place in left if await consumer.position(place) < ends[place]}
    await consumer.stop()
    return found


async def usage_events(platform: Platform, *request_ids: str) -> list[dict[str, Any]]:
    """The usage events of some requests, in their order, once all are there."""
    async def look() -> list[dict[str, Any]] | None:
        found: dict[str, dict[str, Any]] = {}
        for text in await records(platform, names.USAGE):
            # key, value, headers; only a value starts like a list
            for line in text.split(b"\n"):
                if line.startswith(b"[{"):
                    found |= {event["id"]: event for event in orjson.loads(line)}
        return [found[one] for one in request_ids] if set(request_ids) <= set(found) else None
    events: list[dict[str, Any]] = await eventually(look)
    return events
