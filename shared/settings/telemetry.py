"""Traces: how many, which ones in any case, where else they go.

In:    `WEIR_TRACE_*`.
Out:   `TraceSettings`.
Never: what one project says of its own traces; that is in its `weir.yaml`.
"""

from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class TraceSettings(BaseSettings):
    """Environment: WEIR_TRACE_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="WEIR_TRACE_", frozen=True, extra="ignore")

    # of the requests whose project says nothing about it
    ratio: float = Field(default=0.01, ge=0, le=1)
    # of each process where requests come in; callers who sample by themselves are bounded by it as well
    max_per_s: PositiveInt = 100
    # a request that takes longer has a trace, whatever was sampled
    slow_ms: PositiveInt = 1_000
    # base address of an OTLP/HTTP receiver, to which spans go beside the topic
    otlp_endpoint: str | None = None
    # headers for it, as in `authorization=Bearer abc,x-scope=weir`
    otlp_headers: SecretStr | None = None
