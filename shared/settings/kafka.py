"""All that we ever tell a Kafka client.

In:    `WEIR_KAFKA_*`.
Out:   `KafkaSettings`.
Never: clients.
"""

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaSettings(BaseSettings):
    """Environment: WEIR_KAFKA_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="WEIR_KAFKA_", frozen=True, extra="ignore")

    bootstrap: str = "127.0.0.1:9092"
    request_timeout_ms: PositiveInt = 5_000
    # a dead dynamic member blocks its partitions this long; static members come back at once
    session_timeout_ms: PositiveInt = 10_000
    heartbeat_interval_ms: PositiveInt = 2_000
    # aiokafka's own 16 KiB collapses under many concurrent senders
    max_batch_bytes: int = Field(default=1_048_576, ge=16_384, le=1_048_588)
    # longest operation timeout is five minutes; a poll may pause that long behind full bounds
    max_poll_interval_ms: PositiveInt = 600_000
    fetch_max_wait_ms: PositiveInt = 500
    max_poll_records: PositiveInt = 500
    commit_interval_ms: PositiveInt = 250
    # how often each consumer is looked at; one that reads nothing for so long though records wait ends its process
    watch_every_ms: PositiveInt = 2_000
    stuck_after_ms: PositiveInt = 8_000
    # an unacknowledged batch older than this makes the sender say that the broker is away
    stalled_after_ms: PositiveInt = 2_000
    # aiokafka's idempotent producer never gives up by itself
    send_timeout_ms: PositiveInt = 10_000
    outbox_max_records: PositiveInt = 50_000
