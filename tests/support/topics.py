"""What stands in topics."""

from aiokafka import AIOKafkaConsumer

from tests.support.platform import Platform


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
