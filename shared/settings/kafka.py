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
    """Brokers to begin with: `host:port`, several by commas."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How the broker's listener speaks: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`. The local broker speaks
    plaintext, on this machine alone."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; read where the protocol has SASL."""
    sasl_username: str | None = None
    """Who we are to a broker with SASL."""
    sasl_password: SecretStr | None = None
    """Its password; never shown."""
    ssl_ca_file: Path | None = None
    """The authority that signed the broker's certificate, as PEM; the system's own ones without it."""
    ssl_cert_file: Path | None = None
    """Our certificate, as PEM, where the broker asks for one."""
    ssl_key_file: Path | None = None
    """Its key, as PEM."""
    replication: PositiveInt = 1
    """Copies of each topic that is made here; of three or more, all but one have to have a record before it counts."""
    partitions: dict[str, PositiveInt] = {}
    """Topics that get more partitions than the list of topics says, as JSON: `{"weir.executions": 24}`. A topic feeds
    as many instances as it has partitions."""
    request_timeout_ms: PositiveInt = 5_000
    """How long a broker has for one answer."""
    session_timeout_ms: PositiveInt = 10_000
    """How long a member of a group may be silent before its partitions go to others. One that was restarted has them
    back at once: members are static."""
    heartbeat_interval_ms: PositiveInt = 2_000
    """How often a member says that it is there; several times in a session."""
    max_batch_bytes: int = Field(default=1_048_576, ge=16_384, le=1_048_588)
    """The largest batch of records that is sent at once. The client's own 16 KiB collapses under many senders."""
    max_poll_interval_ms: PositiveInt = 600_000
    """How long a member may pause between two polls, behind bounds that are full; longer than the longest operation."""
    fetch_max_wait_ms: PositiveInt = 500
    """How long the broker holds a fetch for which there is nothing yet."""
    max_poll_records: PositiveInt = 500
    """The most records of one poll."""
    commit_interval_ms: PositiveInt = 250
    """How often offsets of what is finished are committed."""
    watch_every_ms: PositiveInt = 2_000
    """How often each consumer is looked at."""
    stuck_after_ms: PositiveInt = 8_000
    """A consumer that reads nothing for so long though records wait ends its process, which begins anew."""
    stalled_after_ms: PositiveInt = 2_000
    """A batch that is not acknowledged for longer makes the sender say that the broker is away."""
    send_timeout_ms: PositiveInt = 60_000
    """A batch that is not acknowledged for longer has failed. It outlasts the restart of a broker: an event that is
    lost after its answer would be told anew, and otherwise, once the deadline is over."""
    outbox_max_records: PositiveInt = 50_000
    """Records that wait for the broker in one process; past this, callers are told so."""

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
