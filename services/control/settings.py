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
    """Of the admin API; 0: any that is free."""
    admin_token: SecretStr | None = None
    """Who may use the admin API; never shown. Without it, one is made once and kept in `<state dir>/admin-token`."""
    query_timeout_ms: PositiveInt = 5_000
    """How long analytics has for an answer."""
    verify_timeout_ms: PositiveInt = 300_000
    """The same where a range is counted again from the topic, which takes a while."""
    max_in_flight: PositiveInt = 256
    """Calls under way; past this a caller is told at once."""
    max_replay_records: PositiveInt = 1_000_000
    """How many past requests one replay reads at most."""
    max_traces: PositiveInt = 20_000
    """Traces that the built-in store keeps. It is for one machine; a collector reads the spans topic for more."""
    max_trace_bytes: PositiveInt = 50_000_000
    """Spans that it keeps, in their wire form; in memory they take about twice as much."""
    max_letters: PositiveInt = 10_000
    """Dead letters that are known by their headers; all are in the topic."""
    max_project_bytes: PositiveInt = 450_000
    """A project's files together; one version is one record."""
    keep_versions: PositiveInt = 100
    """So many of the newest versions of a project are kept; older ones go once 61 days have passed since another one
    followed."""
