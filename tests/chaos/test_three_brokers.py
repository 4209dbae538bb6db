"""Three brokers, three copies of every topic: each broker may die, one at a time, and no answered request is lost."""

import asyncio

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.kafka import connect
from shared.names.topics import TOPICS
from tests.chaos.test_kill import ROUNDS, await_counted, callers_of
from tests.support.platform import Platform, eventually
from tests.support.three_brokers import NODES, Brokers

# DescribeConfigs, `config_source`: set for this topic
_OF_THE_TOPIC = 1
# a dead broker's leaderships move when its session is over
GOES_ON_S = 30.0


async def test_every_topic_has_three_copies_of_which_two_must_be_there(spread: Platform) -> None:
    admin = connect.admin(spread.kafka)
    await admin.start()
    found = await admin.describe_topics([topic.name for topic in TOPICS])
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in TOPICS])
    await admin.close()
    copies = {topic["topic"]: {len(partition["replicas"]) for partition in topic["partitions"]} for topic in found}
    assert copies == {topic.name: {3} for topic in TOPICS}
    # a topic's own word, not what brokers say of all topics
    needed = {name: {(value, source) for setting, value, _, source, *_ in entries if setting == "min.insync.replicas"}
              for _, _, _, name, entries in answer.resources}
    assert needed == {topic.name: {("2", _OF_THE_TOPIC)} for topic in TOPICS}


async def test_each_broker_may_die_and_no_answered_request_is_lost(spread: Platform, brokers: Brokers) -> None:
    async with callers_of(spread) as (load, client):
        for node in NODES[:ROUNDS]:
            before = load.statuses[200]
            await eventually(lambda before=before: load.statuses[200] > before + 20, within_s=GOES_ON_S)
            brokers.kill(node)
            before = load.statuses[200]
            await eventually(lambda before=before: load.statuses[200] > before + 50, within_s=GOES_ON_S)
            brokers.start(node)
            await asyncio.to_thread(brokers.await_ready, node)
            await eventually(spread.is_green, within_s=GOES_ON_S)
        load.over = True
        await await_counted(spread, client, load, 20)


@pytest.mark.skipif(ROUNDS < 5, reason="the long run alone (WEIR_CHAOS_ROUNDS of 5 or more): it takes a while")
async def test_broker_that_hangs_is_done_without_and_no_answered_request_is_lost(
        spread: Platform, brokers: Brokers) -> None:
    async with callers_of(spread) as (load, client):
        await eventually(lambda: load.statuses[200] > 20, within_s=GOES_ON_S)
        with brokers.hanging(NODES[0]):
            # what was on its way when it stopped
            await asyncio.sleep(1)
            before = load.statuses[200]
            await eventually(lambda: load.statuses[200] > before + 300, within_s=3 * GOES_ON_S)
        load.over = True
        await eventually(spread.is_green, within_s=2 * GOES_ON_S)
        await await_counted(spread, client, load, 20)
