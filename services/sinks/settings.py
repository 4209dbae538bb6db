"""Settings of a sink.

In:    `WEIR_SINK_*`.
Out:   `SinkSettings`.
Never: how counting works; a sink sees the events themselves.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.contracts.query import Dimension


class SinkSettings(BaseSettings):
    """Environment: WEIR_SINK_<FIELD>. `name` tells sinks apart: each remembers by it how far it has come."""

    model_config = SettingsConfigDict(env_prefix="WEIR_SINK_", frozen=True, extra="ignore")

    kind: Literal["webhook", "parquet"] = "webhook"
    """`webhook` or `parquet`."""
    name: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")
    """Tells sinks apart: each remembers by it how far it has come."""
    where: dict[Dimension, list[str]] = {}
    """Which events, as JSON: `{"project": ["shop"], "status": ["4xx", "5xx"]}`; empty takes all."""
    url: str = ""
    """Webhook: where events are sent."""
    secret: SecretStr | None = None
    """Webhook: `whsec_...`, which signs; several, by spaces, sign side by side while one replaces the other. Never
    shown."""
    batch_events: PositiveInt = 500
    """Webhook: the most events of one message."""
    max_body_bytes: PositiveInt = 512_000
    """Webhook: the largest message."""
    timeout_s: PositiveFloat = 15
    """Webhook: how long the receiver has for an answer."""
    max_pause_s: PositiveFloat = 60
    """Webhook: the longest pause between two tries of one message; tries never end, but for 410."""
    max_open_records: PositiveInt = 200
    """Webhook: envelopes that are read and not yet taken."""
    folder: Path | None = None
    """Parquet: where files are written."""
    file_events: PositiveInt = 50_000
    """Parquet: a set of files is written when so many events have come."""
    file_s: PositiveFloat = 60
    """Parquet: it is written at the latest so many seconds after the first of them."""
    once: bool = False
    """Parquet: `true` writes what is on the topic now, then ends."""
