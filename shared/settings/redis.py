"""All that we ever tell a Redis client.

In:    `WEIR_REDIS_*`.
Out:   `RedisSettings`.
Never: clients.
"""

from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class RedisSettings(BaseSettings):
    """Environment: WEIR_REDIS_<FIELD>. The URL may hold a password, so it is never shown."""

    model_config = SettingsConfigDict(env_prefix="WEIR_REDIS_", frozen=True, extra="ignore", hide_input_in_errors=True)

    url: str = Field(default="redis://127.0.0.1:6380/0", repr=False)
    """Redis 7.0 or newer, or Valkey: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database;
    never shown. `rediss://` takes `?ssl_ca_certs=/path` for an authority of one's own, `ssl_certfile` and `ssl_keyfile`
    where the store asks for a certificate. Its `maxmemory-policy` has to be `noeviction`: what it forgets is lost, or
    counted twice."""
    sentinels: list[str] = []
    """Redis Sentinels, which know where the primary is, as JSON: `["sentinel-0:26379"]`. Host and port of the URL are
    then not read."""
    primary: str = "weir"
    """What the Sentinels call the primary."""
    sentinel_username: str | None = None
    """Who we are to Sentinels that ask; without it their default user."""
    sentinel_password: SecretStr | None = None
    """The password for them; never shown. That of the store stands in its URL."""
    sentinel_tls: bool = False
    """Whether Sentinels are asked over TLS, which is that of the URL (`rediss://`)."""
    timeout_ms: PositiveInt = 50
    """A store that answers later is treated as away, so that it delays no caller."""
    patient_timeout_ms: PositiveInt = 5_000
    """The same for those who may wait longer than a caller: durable executions, counters of usage, control."""

    @field_validator("url")
    @classmethod
    def _has_a_scheme(cls, given: str) -> str:
        if not given.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("has to begin with redis://, rediss:// or unix://, as in redis://127.0.0.1:6379/0")
        try:
            _ = urlsplit(given).port
        except ValueError:
            # what is said of it would hold a part of a password
            raise ValueError("has no number for its port; what is special in a password is percent-encoded") from None
        return given

    @field_validator("sentinels")
    @classmethod
    def _have_ports(cls, given: list[str]) -> list[str]:
        for one in given:
            host, _, port = one.rpartition(":")
            if not host or not port.isdigit():
                raise ValueError(f"{one!r}: expected host:port, as in [\"sentinel-0:26379\"]")
        return given
