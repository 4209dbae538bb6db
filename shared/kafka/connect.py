"""Producers and consumers, made from settings, the same everywhere.

In:    `KafkaSettings`.
Out:   started aiokafka clients.
Never: a client built anywhere else, so that no default of aiokafka's slips in unseen, and none goes without what the
broker asks of a client.
"""

import asyncio
import logging
import math
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from shared.errors import WeirError
from shared.kafka import header_names
from shared.kafka.faults import CLIENT_ERRORS, KafkaUnavailable, translate
from shared.names import actions
from shared.settings.kafka import KafkaSettings
from shared.settings.wrong import WrongSetting

log = logging.getLogger(__name__)
T = TypeVar("T", AIOKafkaConsumer, AIOKafkaProducer)
# how long a client may not know of partitions that a topic has got, or that another broker leads
KNOWN_FOR_MS = 10_000
# a broker that hangs takes connections and says nothing; the next try begins with another one, as often as not
_START_TRIES, _START_S = 20, 7.0
_START_PAUSE_S = 0.5
# of faust's consumer, too, which is made elsewhere
header_names.tolerate()


async def started(make: Callable[[], T], doing: str) -> T:
    """Start a client, waiting a while for a broker that is not up yet. Raises KafkaUnavailable."""
    error: WeirError = KafkaUnavailable(doing)
    for _ in range(_START_TRIES):
        client = make()
        try:
            async with asyncio.timeout(_START_S):
                await client.start()
        except asyncio.CancelledError:
            await quietly(client.stop)
            raise
        except CLIENT_ERRORS as exc:
            error = translate(exc, doing)
            log.warning("%s", error, extra={"action": actions.KAFKA_RETRY})
            await quietly(client.stop)
            await asyncio.sleep(_START_PAUSE_S)
        else:
            return client
    raise error


async def quietly(stop: Callable[[], Awaitable[None]]) -> None:
    """Stop a client that is given up; how it takes that is nobody's concern."""
    try:
        await stop()
    except CLIENT_ERRORS as exc:
        log.debug("while giving up a client: %r", exc, extra={"action": actions.KAFKA_RETRY})


def access(settings: KafkaSettings) -> dict[str, Any]:
    """Where the broker is and what it asks of a client, as aiokafka names it."""
    options: dict[str, Any] = {"bootstrap_servers": settings.bootstrap, "security_protocol": settings.security_protocol}
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = tls(settings)
    if settings.security_protocol.startswith("SASL"):
        options.update(
            sasl_mechanism=settings.sasl_mechanism, sasl_plain_username=settings.sasl_username,
            sasl_plain_password=settings.sasl_password.get_secret_value() if settings.sasl_password else None)
    return options


def tls(settings: KafkaSettings) -> ssl.SSLContext:
    """What a connection is encrypted with, and who is believed. Raises WrongSetting for a file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=settings.ssl_ca_file)
    except OSError as exc:
        raise WrongSetting(f"WEIR_KAFKA_SSL_CA_FILE: {settings.ssl_ca_file} cannot be used: {exc}") from exc
    if settings.ssl_cert_file is not None:
        try:
            context.load_cert_chain(settings.ssl_cert_file, settings.ssl_key_file)
        except OSError as exc:
            raise WrongSetting(f"WEIR_KAFKA_SSL_CERT_FILE: {settings.ssl_cert_file} cannot be used with "
                               f"WEIR_KAFKA_SSL_KEY_FILE, {settings.ssl_key_file}: {exc}") from exc
    return context


def admin(settings: KafkaSettings) -> AIOKafkaAdminClient:
    """For topics and groups; not started."""
    return AIOKafkaAdminClient(**access(settings), request_timeout_ms=10_000)


async def producer(settings: KafkaSettings) -> AIOKafkaProducer:
    """An idempotent producer that waits for all replicas: a lost record would be a lost request."""
    made = await started(lambda: AIOKafkaProducer(
        **access(settings), acks="all", enable_idempotence=True, linger_ms=0, metadata_max_age_ms=KNOWN_FOR_MS,
        max_batch_size=settings.max_batch_bytes, max_request_size=settings.max_batch_bytes + 4096,
        request_timeout_ms=settings.request_timeout_ms), f"connecting a producer to {settings.bootstrap}")
    # a batch whose partition has no leader for as long as a request may take would be given up, though its number is
    # taken: the broker would refuse all that follow. How long to wait is for the outbox to say
    made._message_accumulator._batch_ttl = math.inf
    return made


async def group_consumer(settings: KafkaSettings, group: str, instance: str) -> AIOKafkaConsumer:
    """A consumer of a group, as a static member: after a kill it has its partitions back at once."""
    return await started(lambda: AIOKafkaConsumer(
        **access(settings), group_id=group, group_instance_id=instance, client_id=instance,
        metadata_max_age_ms=KNOWN_FOR_MS, enable_auto_commit=False, auto_offset_reset="earliest",
        request_timeout_ms=settings.group_timeout_ms,
        session_timeout_ms=settings.session_timeout_ms, heartbeat_interval_ms=settings.heartbeat_interval_ms,
        max_poll_interval_ms=settings.max_poll_interval_ms, fetch_max_wait_ms=settings.fetch_max_wait_ms,
        max_poll_records=settings.max_poll_records), f"connecting a consumer to {settings.bootstrap}")


async def lone_consumer(settings: KafkaSettings, *topics: str) -> AIOKafkaConsumer:
    """A consumer without a group, for partitions that are read from a place of our own choice.

    It is assigned all partitions of `topics`; without any it is for the caller to `assign`.
    """
    return await started(lambda: AIOKafkaConsumer(
        *topics, **access(settings), group_id=None, enable_auto_commit=False, metadata_max_age_ms=KNOWN_FOR_MS,
        auto_offset_reset="earliest", request_timeout_ms=settings.request_timeout_ms + settings.fetch_max_wait_ms,
        fetch_max_wait_ms=settings.fetch_max_wait_ms, max_poll_records=settings.max_poll_records),
        f"connecting a consumer to {settings.bootstrap}")
