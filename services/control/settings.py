"""Settings of the control service.

In:    `WEIR_CONTROL_*`.
Out:   `ControlSettings`.
Never: settings of a project.
"""

from pydantic import PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings.kinds import Port


class ControlSettings(BaseSettings):
    """Environment: WEIR_CONTROL_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="WEIR_CONTROL_", frozen=True, extra="ignore")

    port: Port = 8081
    # without one, a token is made once and kept in <state dir>/admin-token
    admin_token: SecretStr | None = None
    query_timeout_ms: PositiveInt = 5_000
    # counting a range again from the topic takes a while
    verify_timeout_ms: PositiveInt = 300_000
    max_in_flight: PositiveInt = 256
    # how many past requests one replay reads at most
    max_replay_records: PositiveInt = 1_000_000
    # the built-in trace store is for one machine; a collector reads the spans topic for more
    max_traces: PositiveInt = 20_000
    # of all spans in their wire form; here they take about twice as much
    max_trace_bytes: PositiveInt = 50_000_000
    # dead letters that are known by their headers; all are in the topic
    max_letters: PositiveInt = 10_000
    # a project's files together; one version is one record
    max_project_bytes: PositiveInt = 450_000
    # so many of the newest versions of a project; older ones go once 61 days have passed since another one followed
    keep_versions: PositiveInt = 100
