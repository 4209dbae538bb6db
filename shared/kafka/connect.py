"""Producers and consumers, made from settings, the same everywhere.

In:    `KafkaSettings`.
Out:   started aiokafka clients.
Never: a client built anywhere else, so that no default of aiokafka's slips in unseen.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.errors import WeirError
from shared.kafka.faults import CLIENT_ERRORS, KafkaUnavailable, translate
from shared.names import actions
from shared.settings.kafka import KafkaSettings

log = logging.getLogger(__name__)
T = TypeVar("T", AIOKafkaConsumer, AIOKafkaProducer)
_START_TRIES = 20
_START_PAUSE_S = 0.5


async def started(make: Callable[[], T], doing: str) -> T:
    """Start a client, waiting a while for a broker that is not up yet. Raises KafkaUnavailable."""
    error: WeirError = KafkaUnavailable(doing)
    for _ in range(_START_TRIES):
        client = make()
        try:
            await client.start()
        except CLIENT_ERRORS as exc:
            error = translate(exc, doing)
            log.warning("%s", error, extra={"action": actions.KAFKA_RETRY})
            await _quietly(client.stop)
            await asyncio.sleep(_START_PAUSE_S)
        else:
            return client
    raise error


async def _quietly(stop: Callable[[], Awaitable[None]]) -> None:
    try:
        await stop()
    except CLIENT_ERRORS as exc:
        log.debug("while giving up a client: %r", exc, extra={"action": actions.KAFKA_RETRY})


async def producer(settings: KafkaSettings) -> AIOKafkaProducer:
    """An idempotent producer that waits for all replicas: a lost record would be a lost request."""
    return await started(lambda: AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap, acks="all", enable_idempotence=True, linger_ms=0,
        max_batch_size=settings.max_batch_bytes, max_request_size=settings.max_batch_bytes + 4096,
        request_timeout_ms=settings.request_timeout_ms), f"connecting a producer to {settings.bootstrap}")


async def group_consumer(settings: KafkaSettings, group: str, instance: str) -> AIOKafkaConsumer:
    """A consumer of a group, as a static member: after a kill it has its partitions back at once."""
    return await started(lambda: AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap, group_id=group, group_instance_id=instance, client_id=instance,
        enable_auto_commit=False, auto_offset_reset="earliest", request_timeout_ms=settings.request_timeout_ms + 40_000,
        session_timeout_ms=settings.session_timeout_ms, heartbeat_interval_ms=settings.heartbeat_interval_ms,
        max_poll_interval_ms=settings.max_poll_interval_ms, fetch_max_wait_ms=settings.fetch_max_wait_ms,
        max_poll_records=settings.max_poll_records), f"connecting a consumer to {settings.bootstrap}")


async def lone_consumer(settings: KafkaSettings, *topics: str) -> AIOKafkaConsumer:
    """A consumer without a group, for partitions that are read from a place of our own choice.

    It is assigned all partitions of `topics`; without any it is for the caller to `assign`.
    """
    return await started(lambda: AIOKafkaConsumer(
        *topics, bootstrap_servers=settings.bootstrap, group_id=None, enable_auto_commit=False,
        auto_offset_reset="earliest", request_timeout_ms=settings.request_timeout_ms + 40_000,
        fetch_max_wait_ms=settings.fetch_max_wait_ms, max_poll_records=settings.max_poll_records),
        f"connecting a consumer to {settings.bootstrap}")
