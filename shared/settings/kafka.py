"""All that we ever tell a Kafka client.

In:    `WEIR_KAFKA_*`.
Out:   `KafkaSettings`.
Never: clients.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveInt, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaSettings(BaseSettings):
    """Environment: WEIR_KAFKA_<FIELD>."""

    # what is told of a mistake that several settings make together would be all of them
    model_config = SettingsConfigDict(env_prefix="WEIR_KAFKA_", frozen=True, extra="ignore", hide_input_in_errors=True)

    bootstrap: str = "127.0.0.1:9092"
    # how the broker's listener speaks; the local broker speaks plaintext on this machine alone
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    # the authority that signed the broker's certificate; the system's own ones without it
    ssl_ca_file: Path | None = None
    # who we are, where the broker asks for a certificate
    ssl_cert_file: Path | None = None
    ssl_key_file: Path | None = None
    # copies of each topic that is made here; of three or more, all but one have to have a record before it counts
    replication: PositiveInt = 1
    # topic -> partitions, where the list of topics has too few: a topic feeds as many instances as it has partitions
    partitions: dict[str, PositiveInt] = {}
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
    # aiokafka's idempotent producer never gives up by itself. What follows from a request outlasts the restart of a
    # broker: an event that is lost after its answer would be told anew, and otherwise, once the deadline is over
    send_timeout_ms: PositiveInt = 60_000
    outbox_max_records: PositiveInt = 50_000

    @field_validator("bootstrap")
    @classmethod
    def _has_ports(cls, given: str) -> str:
        for one in given.split(","):
            host, colon, port = one.strip().rpartition(":")
            if (colon and not port.isdecimal()) or not (host if colon else port):
                raise ValueError(f"{one.strip()!r}: expected host:port, several by commas, as in "
                                 "kafka-0:9092,kafka-1:9092")
        return given

    @property
    def group_timeout_ms(self) -> int:
        """How long a member waits for an answer: its group takes its time to come together."""
        return self.request_timeout_ms + 40_000

    @model_validator(mode="after")
    def _has_what_it_takes(self) -> Self:
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password):
            raise ValueError(f"{self.security_protocol} needs WEIR_KAFKA_SASL_USERNAME and WEIR_KAFKA_SASL_PASSWORD")
        for name in ("ssl_ca_file", "ssl_cert_file", "ssl_key_file") if self.security_protocol.endswith("SSL") else ():
            file = getattr(self, name)
            if file is not None and not file.is_file():
                raise ValueError(f"WEIR_KAFKA_{name.upper()}: there is no file {file}")
        return self
