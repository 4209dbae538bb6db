"""Outbox, intake, follower, reply reader and slots on the real broker and store."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.client.pending import Pending
from shared.client.replies import ReplyReader
from shared.client.slot import Slot
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import ReplyAddress
from shared.contracts.usage import UsageEvent
from shared.kafka import connect
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.faults import KafkaUnavailable, NoSuchPartition, RecordTooLarge, SendFailed
from shared.kafka.intake import Intake, Subscription
from shared.kafka.outbox import Outbox
from shared.kafka.record import Record
from shared.kafka.topics import ensure_topics
from shared.names.topics import Topic
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from shared.telemetry.metrics import Metrics
from tests.support.platform import Platform, eventually


@pytest.fixture
async def topic(platform: Platform, name: str) -> str:
    """A topic of the test's own, with two partitions."""
    await ensure_topics(platform.kafka, [Topic(name=name, value="", writers=(), readers=(), partitions=2)])
    return name


async def read_all(platform: Platform, topic: str, count: int = 2) -> list[Record]:
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    partitions = [TopicPartition(topic, number) for number in range(count)]
    consumer.assign(partitions)
    ends, found = await consumer.end_offsets(partitions), []
    while [one for one in partitions if await consumer.position(one) < ends[one]]:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            found += records
    await consumer.stop()
    return found


async def test_records_of_one_moment_share_a_batch_and_a_partition(
        platform: Platform, outbox: Outbox, topic: str) -> None:
    sent = [outbox.send(topic, str(number).encode(), [("n", b"%d" % number)]) for number in range(50)]
    assert len(set(sent)) == 1
    await sent[0]
    records = await read_all(platform, topic)
    assert sorted(int(record.value or b"") for record in records) == list(range(50))
    assert len({record.partition for record in records}) == 1


async def test_batches_that_are_full_are_followed_by_others(platform: Platform, outbox: Outbox, topic: str) -> None:
    sent = {outbox.send(topic, b"x" * 200_000, []) for _ in range(20)}
    assert len(sent) > 1
    await asyncio.gather(*sent)
    assert len(await read_all(platform, topic)) == 20


@pytest.mark.parametrize("over", [0, 1])
async def test_largest_record_is_what_the_broker_takes_and_one_byte_more_is_refused_at_once(
        platform: Platform, outbox: Outbox, topic: str, over: int) -> None:
    headers = [("h", b"y" * 100_000)]
    # what is reckoned for the lengths and deltas of a record with one header of one letter
    value = b"x" * (1_048_500 - 100_000 - 54 + over)
    small = outbox.send(topic, b"small", [])
    if over:
        with pytest.raises(RecordTooLarge):
            outbox.send(topic, value, headers)
    else:
        await outbox.send(topic, value, headers)
    await small
    await outbox.send(topic, b"after", [])
    assert len(await read_all(platform, topic)) == 3 - over


async def test_topic_or_partition_that_does_not_exist_fails_alone(kafka: KafkaSettings, topic: str, name: str) -> None:
    outbox = Outbox(kafka)
    await outbox.start()
    bad = [outbox.send(f"{name}-none", b"x", []), outbox.send(topic, b"x", [], partition=77)]
    good = outbox.send(topic, b"x", [])
    await good
    for failing in bad:
        with pytest.raises(Exception, match=r"publishing|looking"):
            await failing
    # a record that waits holds up those of everybody: who names it again is told at once
    async with asyncio.timeout(10):
        for _ in range(20):
            with pytest.raises(SendFailed, match="whoever reads it has to make it"):
                await outbox.send(f"{name}-none", b"x", [])
    assert not outbox._lanes
    await outbox.stop()


async def test_partition_that_a_topic_has_just_got_takes_records(
        platform: Platform, kafka: KafkaSettings, outbox: Outbox, topic: str) -> None:
    await outbox.send(topic, b"before", [], partition=1)
    await ensure_topics(kafka, [Topic(name=topic, value="", writers=(), readers=(), partitions=3)])
    # a broker tells of it a moment after it was made
    admin = connect.admin(kafka)
    await admin.start()

    async def is_told() -> bool:
        return len((await admin.describe_topics([topic]))[0]["partitions"]) == 3
    await eventually(is_told)
    await admin.close()
    await outbox.send(topic, b"new", [], partition=2)
    with pytest.raises(NoSuchPartition, match="it has no partition 3"):
        await outbox.send(topic, b"none", [], partition=3)
    assert {record.value for record in await read_all(platform, topic, 3)} == {b"before", b"new"}


async def test_partition_that_has_no_leader_for_a_while_gets_its_records_then_and_others_do_not_wait(
        platform: Platform, kafka: KafkaSettings, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(kafka.model_copy(update={"request_timeout_ms": 300}))
    await outbox.start()
    assert outbox._writer._producer is not None
    await outbox.send(topic, b"before", [], partition=0)
    cluster = outbox._writer._producer.client.cluster
    led, leader_of = TopicPartition(topic, 1), cluster.leader_for_partition
    with monkeypatch.context() as away:
        away.setattr(cluster, "leader_for_partition", lambda place: leader_of(place) if place == led else -1)
        away.setattr(cluster, "available_partitions_for_topic", lambda _: {led.partition})
        waits = outbox.send(topic, b"waits", [], partition=0)
        for _ in range(2):
            await outbox.send(topic, b"meanwhile", [])
        await asyncio.sleep(1)
        assert not waits.done()
    await waits
    await outbox.send(topic, b"after", [], partition=0)
    await outbox.stop()
    found = [(record.partition, record.value) for record in await read_all(platform, topic)]
    assert sorted(found) == [(0, b"after"), (0, b"before"), (0, b"waits"), (1, b"meanwhile"), (1, b"meanwhile")]


async def test_batch_that_the_broker_refuses_is_no_end_of_its_partition(
        platform: Platform, kafka: KafkaSettings, outbox: Outbox, topic: str) -> None:
    admin = connect.admin(kafka)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "5000"})])
    await admin.close()
    await outbox.send(topic, b"before", [], partition=0)
    with pytest.raises(SendFailed, match="MessageSizeTooLarge"):
        await outbox.send(topic, b"x" * 6_000, [], partition=0)
    await eventually(lambda: sends(outbox, topic))
    assert {record.value for record in await read_all(platform, topic)} == {b"before", b"after"}


async def sends(outbox: Outbox, topic: str) -> bool:
    try:
        await outbox.send(topic, b"after", [], partition=0)
    except SendFailed:
        return False
    return True


async def test_paused_broker_stalls_the_outbox_and_nothing_is_lost(
        platform: Platform, outbox: Outbox, topic: str) -> None:
    broker = platform.processes()["kafka"].pid
    os.kill(broker, signal.SIGSTOP)
    try:
        sent = outbox.send(topic, b"x", [])
        await eventually(lambda: outbox.stalled, within_s=5)
        assert not sent.done()
        assert "has not acknowledged" in (await outbox.probe() or "")
    finally:
        os.kill(broker, signal.SIGCONT)
    await asyncio.wait_for(sent, 10)
    assert not outbox.stalled
    assert await outbox.probe() is None
    assert len(await read_all(platform, topic)) == 1


async def test_batch_that_the_broker_does_not_take_in_time_fails_and_is_counted(
        platform: Platform, kafka: KafkaSettings, topic: str) -> None:
    metrics = Metrics()
    outbox = Outbox(kafka.model_copy(update={"send_timeout_ms": 700}), metrics)
    await outbox.start()
    await outbox.send(topic, b"x", [])
    assert errors(metrics, "elsewhere") == 0
    broker = platform.processes()["kafka"].pid
    os.kill(broker, signal.SIGSTOP)
    try:
        # its threads stop one by one
        await asyncio.sleep(0.3)
        with pytest.raises(KafkaUnavailable, match="the broker does not answer"):
            await outbox.send(topic, b"x", [])
    finally:
        os.kill(broker, signal.SIGCONT)
    assert errors(metrics, "elsewhere") == 1
    await outbox.stop()


def errors(metrics: Metrics, what: str) -> float | None:
    return metrics.registry.get_sample_value("weir_kafka_errors_total", {"what": what})


class Taker:
    """An intake whose records are finished when the test says so."""

    def __init__(self, kafka: KafkaSettings, topic: str, group: str, *, instance: int = 0,
                 max_open: int = 100) -> None:
        self.tasks, self.seen, self.metrics = Tasks(), list[Record](), Metrics()
        self.intake = Intake(kafka, self.tasks, self.metrics, Subscription(
            group=group, instance=f"{group}-{instance}", topics=[topic], max_open=max_open))
        self.intake.handler = self._take

    def _take(self, records: Sequence[Record]) -> None:
        self.seen += records

    async def leave(self) -> None:
        """End as a service does that is asked to."""
        await self.intake.stop()
        await self.tasks.stop()

    async def die(self) -> None:
        """End as a killed process does: nothing is committed, and a static member does not leave its group."""
        await self.tasks.stop()
        assert self.intake._consumer is not None
        await self.intake._consumer.stop()


async def full(kafka: KafkaSettings, topic: str, group: str, within_s: float = 10) -> Taker:
    """One that has read all that `fill` has written."""
    taker = Taker(kafka, topic, group)
    await taker.intake.start()
    await eventually(lambda: len(taker.seen) == 20, within_s=within_s)
    return taker


@pytest.fixture
async def fill(outbox: Outbox, topic: str) -> None:
    """Twenty records on partition 0."""
    await asyncio.gather(*{outbox.send(topic, b"%d" % number, [], partition=0) for number in range(20)})


@pytest.mark.usefixtures("fill")
async def test_what_was_not_finished_is_delivered_again_and_the_rest_is_not(
        kafka: KafkaSettings, outbox: Outbox, topic: str, name: str) -> None:
    first = await full(kafka, topic, name)
    first.intake.finished(first.seen[:5] + first.seen[6:10])
    await asyncio.sleep(0.6)
    await first.die()
    second = Taker(kafka, topic, name)
    began = time.monotonic()
    await second.intake.start()
    await eventually(lambda: second.seen, within_s=8)
    took = time.monotonic() - began
    again = [5, *range(10, 20)]
    assert [int(record.value or b"") for record in second.seen] == again, "what was finished behind an open one is not"
    assert took < 3, "a static member has its partitions back at once"
    second.intake.finished(second.seen[1:3])
    await asyncio.sleep(0.6)
    await second.die()
    third = Taker(kafka, topic, name)
    await third.intake.start()
    await eventually(lambda: third.seen, within_s=8)
    assert [int(record.value or b"") for record in third.seen] == [5, *range(12, 20)]
    third.intake.finished(third.seen)
    await third.leave()
    fourth = Taker(kafka, topic, name)
    await fourth.intake.start()
    await outbox.send(topic, b"20", [], partition=0)
    await eventually(lambda: fourth.seen)
    assert [record.value for record in fourth.seen] == [b"20"]
    fourth.intake.finished(fourth.seen)
    await fourth.leave()


@pytest.mark.usefixtures("fill")
async def test_group_that_is_set_back_by_hand_does_all_again(
        kafka: KafkaSettings, topic: str, name: str) -> None:
    first = await full(kafka, topic, name)
    first.intake.finished(first.seen[1:])
    await asyncio.sleep(0.6)
    await first.die()
    second = Taker(kafka, topic, name)
    await second.intake.start()
    await eventually(lambda: second.seen, within_s=8)
    assert [record.offset for record in second.seen] == [0]
    # as Kafka's own tool does: an offset, and nothing beside it
    assert second.intake._consumer is not None
    await second.intake._consumer.commit({TopicPartition(topic, 0): 0})
    await second.die()
    third = await full(kafka, topic, name, within_s=8)
    await third.die()


@pytest.mark.usefixtures("fill")
async def test_partitions_that_move_to_another_member_take_what_is_finished_along(
        kafka: KafkaSettings, outbox: Outbox, topic: str, name: str) -> None:
    await asyncio.gather(*{outbox.send(topic, b"%d" % number, [], partition=1) for number in range(20)})
    first, second = Taker(kafka, topic, name), Taker(kafka, topic, name, instance=1)
    await first.intake.start()
    await eventually(lambda: len(first.seen) == 40)
    still_open = [record for record in first.seen if record.offset == 3]
    first.intake.finished([record for record in first.seen if record.offset != 3])
    await second.intake.start()
    await eventually(lambda: second.seen, within_s=20)
    assert [record.offset for record in second.seen] == [3]
    assert len(first.seen) + len(second.seen) <= 43, "the one that stays with the first is delivered again, no other"
    second.intake.finished(second.seen)
    first.intake.finished([*still_open, *first.seen[40:]])
    for taker in (first, second):
        await taker.leave()
    await second.leave()


@pytest.mark.usefixtures("fill")
async def test_polling_pauses_while_too_much_is_open(
        outbox: Outbox, kafka: KafkaSettings, topic: str, name: str) -> None:
    taker = Taker(kafka, topic, name, max_open=10)
    await taker.intake.start()
    await eventually(lambda: len(taker.seen) >= 10)
    held = len(taker.seen)
    await outbox.send(topic, b"more", [], partition=0)
    await asyncio.sleep(0.5)
    assert len(taker.seen) == held
    taker.intake.finished(taker.seen)
    await eventually(lambda: taker.seen[-1].value == b"more")
    taker.intake.finished(taker.seen[held:])
    await taker.leave()


@pytest.mark.usefixtures("fill")
async def test_lost_effect_takes_the_service_down(kafka: KafkaSettings, topic: str, name: str) -> None:
    taker = await full(kafka, topic, name)
    effect: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    taker.intake.finish_after(taker.seen, [effect])
    effect.set_exception(SendFailed("lost"))
    assert isinstance(await asyncio.wait_for(taker.tasks.failed, 2), SendFailed)
    await taker.die()


@pytest.mark.usefixtures("fill")
async def test_service_that_has_failed_does_not_wait_for_records_that_nobody_will_finish(
        kafka: KafkaSettings, topic: str, name: str) -> None:
    taker = await full(kafka, topic, name)
    taker.tasks.fail(SendFailed("lost"))
    await asyncio.wait_for(taker.intake.stop(), 3)
    await taker.tasks.stop()


@pytest.mark.usefixtures("fill")
async def test_commit_of_a_member_whose_place_somebody_else_has_taken_fails_and_is_counted(
        kafka: KafkaSettings, topic: str, name: str) -> None:
    first, second = Taker(kafka, topic, name), Taker(kafka, topic, name)
    await first.intake.start()
    await eventually(lambda: len(first.seen) == 20)
    assert errors(first.metrics, "commit") == 0
    await second.intake.start()
    await eventually(lambda: len(second.seen) == 20, within_s=20)
    first.intake.finished(first.seen)
    await eventually(lambda: errors(first.metrics, "commit"), within_s=20)
    await first.die()
    await second.die()


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat writes header names that no Python client can")
@pytest.mark.usefixtures("fill")
async def test_header_name_that_is_no_text_hides_no_record(
        platform: Platform, outbox: Outbox, kafka: KafkaSettings, topic: str, name: str) -> None:
    for partition in ("0", "1"):
        for odd in (b"\xff=x", b"\xfe\xff=x"):
            kcat = await asyncio.create_subprocess_exec("kcat", "-b", platform.bootstrap, "-P", "-t", topic, "-p",
                                                        partition, "-H", odd, stdin=asyncio.subprocess.PIPE)
            # one batch, as a rule
            await kcat.communicate(b"odd\n" * 9)
        await asyncio.gather(*{outbox.send(topic, b"%d" % number, [], partition=int(partition))
                               for number in range(20, 30)})
    taker = Taker(kafka, topic, name)
    await taker.intake.start()
    await eventually(lambda: len(taker.seen) >= 76)
    places = [(record.partition, record.offset) for record in taker.seen]
    assert sorted(places) == [(0, offset) for offset in range(48)] + [(1, offset) for offset in range(28)]
    assert sorted({record.headers[0][0] for record in taker.seen if record.value == b"odd"}) == ["?", "??"]
    taker.intake.finished(taker.seen)
    await taker.leave()


async def test_reply_right_after_start_is_not_missed(kafka: KafkaSettings, outbox: Outbox, topic: str) -> None:
    await outbox.send(topic, b"old", [], partition=1)
    tasks, pending = Tasks(), Pending(10, Metrics())
    reader = ReplyReader(kafka, tasks, pending, topic=topic, outbox=outbox, choose=second)
    await reader.start()
    correlation_id, answer = pending.add()
    address = ReplyAddress(correlation_id=correlation_id, topic=topic, partition=reader.partition)
    reply = ReplyRecord(request_id="r", status=200, body=b"new")
    outbox.send(topic, reply.body, [*address.answer_headers(), *reply.to_headers()], partition=1)
    assert (await asyncio.wait_for(answer, 5)).body == b"new"
    await reader.stop()


async def second(partitions: int) -> int:
    return partitions - 1


async def test_each_owner_has_a_slot_and_gets_its_own_again(platform: Platform, name: str) -> None:
    store, tasks = Store(RedisSettings(url=platform.redis_url), patient=True), Tasks()
    slots = [Slot(store, tasks, topic=name, owner=owner) for owner in ("a", "b", "a")]
    assert [await slot.take(2) for slot in slots] == [0, 1, 0]
    assert await Slot(store, tasks, topic=name, owner="c", fixed=1).take(2) == 1
    await tasks.stop()
    await store.stop()


async def test_usage_events_go_out_together_and_soon(platform: Platform, kafka: KafkaSettings) -> None:
    outbox = Outbox(kafka)
    await outbox.start()
    envelopes = UsageEnvelopes(outbox, Metrics())
    event = UsageEvent(kind="delivery", id="x", time=1, project="", operation="", client="", source="edge", status=504,
                       reason="timeout")
    sent = {envelopes.add(event) for _ in range(10)}
    assert len(sent) == 1
    await asyncio.wait_for(sent.pop(), 2)
    await outbox.stop()
