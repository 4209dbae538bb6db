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
    name: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")
    # dimension -> values, as JSON: {"project": ["shop"], "status": ["4xx", "5xx"]}; empty takes all events
    where: dict[Dimension, list[str]] = {}
    # webhook
    url: str = ""
    # whsec_...: several, by spaces, sign side by side while one replaces the other
    secret: SecretStr | None = None
    batch_events: PositiveInt = 500
    max_body_bytes: PositiveInt = 512_000
    timeout_s: PositiveFloat = 15
    # between two tries of one batch; tries never end, but for 410
    max_pause_s: PositiveFloat = 60
    # envelopes read and not yet taken by the webhook
    max_open_records: PositiveInt = 200
    # parquet
    folder: Path | None = None
    # a set of files is written when so many events have come, or so much time has passed since the first of them
    file_events: PositiveInt = 50_000
    file_s: PositiveFloat = 60
    # write what is on the topic now, then end
    once: bool = False
