"""The faust app: one agent per topic, concurrency 1.

In:    `weir.usage`, `weir.queries`.
Out:   each message to one of two functions, in order per partition.
Never: a topic made by faust, a web server, a table; an offset committed before its message was handled: envelopes are
       acknowledged when they are counted, which is later than they are taken.

Kafka's committed offsets follow the store's, not the other way round: before the streams resume after a rebalance, the
offsets of the ledger are committed, so that a crash between the two neither loses nor repeats an envelope. The app is
built by a function and run by our own runtime, which gives it the same health, logs and exit codes as every service.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import faust
from faust import SASLCredentials, SSLCredentials
from faust.types import TP

from services.analytics.driver import CarefulApp
from shared.kafka import connect
from shared.kafka.record import Record
from shared.names import topics
from shared.settings.kafka import KafkaSettings

GROUP = "weir-analytics"
# envelopes of 128 KB that wait in memory for each stream
_BUFFERED = 256
Handle = Callable[[Record], Awaitable[None]]
Take = Callable[[Record, Callable[[], object]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """Where messages go. `begin`: partition of the usage topic -> first offset there is, and the next one that will be;
    where each has to go on. None: that is not known yet, and is to be asked again."""

    count: Take
    answer: Handle
    begin: Callable[[Mapping[int, int], Mapping[int, int]], Awaitable[Mapping[int, int] | None]]
    failed: Callable[[BaseException], None]


@dataclass(slots=True)
class _Message:
    """A faust message as a record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


def build_app(kafka: KafkaSettings, instance: str, state_dir: str, handlers: Handlers) -> faust.App:
    """The app with its agents, not started."""
    app = _app(kafka, instance, state_dir)

    @app.agent(app.topic(topics.USAGE, value_type=bytes), name="count", concurrency=1)
    async def count(stream: Any) -> None:
        await _drain(stream, handlers.count, handlers.failed)

    @app.agent(app.topic(topics.QUERIES, value_type=bytes), name="answer", concurrency=1)
    async def answer(stream: Any) -> None:
        async def answered(record: Record, done: Callable[[], object]) -> None:
            await handlers.answer(record)
            done()
        await _drain(stream, answered, handlers.failed)

    @app.on_rebalance_complete.connect
    async def follow_the_ledger(*_: Any, **__: Any) -> None:
        places = None
        while places is None:
            # others may have got some of them meanwhile
            ours = [tp for tp in app.consumer.assignment() if tp.topic == topics.USAGE]
            first = await app.consumer.earliest_offsets(*ours) if ours else {}
            ends = await app.consumer.highwaters(*ours) if ours else {}
            places = await handlers.begin(*({tp.partition: offset or 0 for tp, offset in each.items()}
                                            for each in (first, ends)))
        if ours:
            await app.consumer._commit({  # type: ignore[attr-defined]  # not in faust's interface, in every driver
                TP(topics.USAGE, partition): offset for partition, offset in places.items()})

    return app


def _app(kafka: KafkaSettings, instance: str, state_dir: str) -> faust.App:
    """All that faust is told."""
    return CarefulApp(
        GROUP, broker=[f"kafka://{address}" for address in kafka.bootstrap.split(",")],
        broker_credentials=_credentials(kafka), store="memory://", datadir=f"{state_dir}/faust-{instance}",
        web_enabled=False,
        topic_disable_leader=True, topic_allow_declare=False, key_serializer="raw", value_serializer="raw",
        consumer_group_instance_id=instance, consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=connect.KNOWN_FOR_MS,
        # without a word faust waits 90 seconds for a broker that hangs, and 20 minutes with its producer
        broker_request_timeout=kafka.group_timeout_ms / 1000, producer_request_timeout=kafka.request_timeout_ms / 1000,
        broker_session_timeout=kafka.session_timeout_ms / 1000,
        broker_heartbeat_interval=kafka.heartbeat_interval_ms / 1000, broker_commit_interval=1.0,
        stream_wait_empty=False, stream_buffer_maxsize=_BUFFERED)


async def _drain(stream: Any, take: Take, failed: Callable[[BaseException], None]) -> None:
    stream.enable_acks = False
    async for event in stream.events():
        try:
            await take(_record(event.message), event.ack)
        except Exception as exc:
            # faust would acknowledge the message and go on; the service must come back to it instead
            failed(exc)
            raise


def _credentials(kafka: KafkaSettings) -> Any:
    """What the broker asks of a client, as faust names it; None where it asks for nothing."""
    context = connect.tls(kafka) if kafka.security_protocol.endswith("SSL") else None
    if kafka.security_protocol.startswith("SASL"):
        return SASLCredentials(
            username=kafka.sasl_username, mechanism=kafka.sasl_mechanism, ssl_context=context,
            password=kafka.sasl_password.get_secret_value() if kafka.sasl_password else None)
    return SSLCredentials(context=context) if context is not None else None


def _record(message: Any) -> Record:
    headers = message.headers
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or ())
    return _Message(message.topic, message.partition, message.offset, int(message.timestamp * 1000), message.key,
                    message.value, pairs)
