"""Traces: how many, which ones in any case, where else they go.

In:    `WEIR_TRACE_*`.
Out:   `TraceSettings`.
Never: what one project says of its own traces; that is in its `weir.yaml`.
"""

import re

from pydantic import Field, PositiveInt, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.names.headers import TCHAR

# of a header, as HTTP has it
_NAME, _VALUE = re.compile(f"{TCHAR}+"), re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")


class TraceSettings(BaseSettings):
    """Environment: WEIR_TRACE_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="WEIR_TRACE_", frozen=True, extra="ignore")

    ratio: float = Field(default=0.01, ge=0, le=1)
    """The part of requests that are traced, 0 to 1, where their project says nothing about it."""
    max_per_s: PositiveInt = 100
    """The most traces that begin in one second in each process where requests come in; callers who sample by themselves
    are bounded by it as well."""
    slow_ms: PositiveInt = 1_000
    """A request that takes longer has a trace, whatever was sampled."""
    otlp_endpoint: str | None = None
    """Base address of an OTLP/HTTP receiver, to which spans go beside the topic, as in `http://collector:4318`."""
    otlp_headers: SecretStr | None = None
    """Headers for it, as in `authorization=Bearer abc,x-scope=weir`; never shown."""

    @field_validator("otlp_headers")
    @classmethod
    def _can_be_sent(cls, given: SecretStr | None) -> SecretStr | None:
        for number, (name, value) in enumerate(header_pairs(given), 1):
            # a client of HTTP refuses it, each time that spans are to be sent
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"header {number} of it cannot be sent: expected name=value, several by commas, as in "
                                 "authorization=Bearer abc,x-scope=weir, without line breaks and other control "
                                 "characters inside")
        return given


def header_pairs(given: SecretStr | None) -> list[tuple[str, str]]:
    """Names and values of `WEIR_TRACE_OTLP_HEADERS`."""
    parts = [part.partition("=") for part in (given.get_secret_value() if given else "").split(",") if part.strip()]
    return [(name.strip(), value.strip()) for name, _, value in parts]
