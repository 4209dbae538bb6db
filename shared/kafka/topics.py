"""Make the cluster's topics.

In:    `names/topics.py`, a broker.
Out:   every topic with at least its partitions.
Never: a topic made by accident, by a client that asked for one that is not there.

Runs by itself, too: `python -m shared.kafka.topics`.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import replace

from aiokafka.admin import NewPartitions, NewTopic

from shared.errors import WeirError
from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS, KafkaUnavailable, SendFailed, translate
from shared.names.topics import TOPICS, Topic
from shared.settings.kafka import KafkaSettings
from shared.settings.wrong import told

_TOPIC_EXISTS, _TOO_MANY_COPIES = 36, 38
_PAUSE_S = 0.2


async def ensure_topics(kafka: KafkaSettings, topics: Iterable[Topic] = TOPICS, *, timeout_s: float = 60) -> list[str]:
    """Create what is missing and add partitions where there are too few; returns the names of new topics.

    A broker that has just started answers in time or not at all: it is asked again until `timeout_s`.
    Raises KafkaUnavailable, SendFailed.
    """
    wanted = [replace(topic, partitions=kafka.partitions.get(topic.name, topic.partitions)) for topic in topics]
    error: WeirError = KafkaUnavailable(f"no broker answers at {kafka.bootstrap}")
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    return await _ensure(kafka, wanted)
                except CLIENT_ERRORS as exc:
                    error = translate(exc, f"making topics at {kafka.bootstrap}")
                    await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        raise error from None


async def _ensure(kafka: KafkaSettings, topics: list[Topic]) -> list[str]:
    admin = connect.admin(kafka)
    copies = {"min.insync.replicas": str(kafka.replication - 1)} if kafka.replication > 2 else {}
    try:
        await admin.start()
        there = {found["topic"]: len(found["partitions"])
                 for found in await admin.describe_topics([topic.name for topic in topics])
                 if not found["error_code"]}
        new = [topic for topic in topics if topic.name not in there]
        if new:
            answer = await admin.create_topics([
                NewTopic(topic.name, topic.partitions, kafka.replication, topic_configs={**topic.configs, **copies})
                for topic in new])
            for name, code, message in answer.topic_errors:
                if code not in (0, _TOPIC_EXISTS):
                    to_do = (f"; each copy needs a broker of its own, and WEIR_KAFKA_REPLICATION is {kafka.replication}"
                             if code == _TOO_MANY_COPIES else "")
                    raise SendFailed(f"topic {name} could not be made: {message} (code {code}){to_do}")
        more = {topic.name: NewPartitions(topic.partitions) for topic in topics
                if there.get(topic.name, topic.partitions) < topic.partitions}
        if more:
            await admin.create_partitions(more)
        return [topic.name for topic in new]
    finally:
        await admin.close()


def main() -> int:
    """Make them; what somebody can mend is one sentence on standard error, and what libraries log is not."""
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        asyncio.run(ensure_topics(KafkaSettings()))
    except (WeirError, ValueError) as exc:
        said = str(exc) if isinstance(exc, WeirError) else told(exc, os.environ)
        if said is None:
            raise
        print(f"topics: {said}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
