"""What every service process is told about itself.

In:    `WEIR_*`.
Out:   `ServiceSettings`.
Never: settings of one hop; those stand in the hop's own `settings.py`.
"""

import logging
import socket
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings.kinds import Port


def _level(text: str) -> str:
    if text.upper() not in logging.getLevelNamesMapping():
        raise ValueError("has to be debug, info, warning or error")
    return text.upper()


class ServiceSettings(BaseSettings):
    """Environment: WEIR_<FIELD>. `instance` is stable over restarts; it is the static member id in consumer groups."""

    model_config = SettingsConfigDict(env_prefix="WEIR_", frozen=True, extra="ignore")

    instance: str = Field(default_factory=lambda: f"{socket.gethostname()}-0", min_length=1, max_length=200)
    """The name of this process, the same after each restart, and no other's: it is the static member of consumer
    groups. Without it, the host's name and `-0`."""
    bind_host: str = "127.0.0.1"
    """The address that its ports listen on."""
    health_port: Port = 0
    """The port of `/-/live`, `/-/ready` and `/-/metrics`; 0: any that is free."""
    state_dir: str = ".weir"
    """Where what is kept on this machine stands: the admin token, what analytics remembers between two starts."""
    drain_ms: PositiveInt = 10_000
    """How long a process that is asked to end goes on with what it has begun."""
    log_level: Annotated[str, AfterValidator(_level)] = "INFO"
    """`debug`, `info`, `warning` or `error`; `weir log-level` changes it while processes run."""
    usage_addresses: bool = True
    """Whether usage events say where a call came from; without it abuse by address is not found."""
    metrics: bool = True
    """`false`: no counts and times per request, so that what they cost can be measured."""
    access_log_ratio: float = Field(default=0.01, ge=0, le=1)
    """The part of all answers that get a log line, 0 to 1; those of 500 and above get one anyway, a few a second."""
    hang_ms: PositiveInt = 20_000
    """An event loop that does not turn for so long ends its process, which is better than to look alive."""
