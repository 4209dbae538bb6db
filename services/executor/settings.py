"""Settings of the executor service.

In:    `WEIR_EXECUTOR_*`.
Out:   `ExecutorSettings`.
Never: settings of a workflow.
"""

from pydantic import PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.project.calls import MAX_CALL_DEPTH
from shared.settings.kinds import Network


class ExecutorSettings(BaseSettings):
    """Environment: WEIR_EXECUTOR_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="WEIR_EXECUTOR_", frozen=True, extra="ignore")

    max_in_flight: PositiveInt = 1_000
    """Executions under way in one process."""
    max_in_flight_per_project: PositiveInt = 400
    """Those of one project, so that one whose outside system hangs leaves room for the others."""
    max_reply_bytes: PositiveInt = 900_000
    """The largest body of a reply."""
    max_response_bytes: PositiveInt = 900_000
    """The largest answer of an outside system to an `http` step."""
    max_output_bytes: PositiveInt = 5_000_000
    """The most that one step gives, as JSON; a loop, all its passes together."""
    expression_timeout_ms: PositiveInt = 1_000
    """The time of each expression."""
    expression_max_depth: PositiveInt = 200
    """How deep functions of an expression call each other."""
    expression_max_bytes: PositiveInt = 2_000_000
    """The largest result of an expression."""
    script_time_ms: PositiveInt = 1_000
    """The time of each script, by the clock."""
    script_memory_bytes: PositiveInt = 32_000_000
    """The memory of each script."""
    script_threads: PositiveInt = 2
    """How many scripts run at the same time, each in a process of its own."""
    storage_max_bytes: PositiveInt = 100_000
    """The largest stored value."""
    storage_max_items: PositiveInt = 10_000
    """The longest stored list."""
    park_after_ms: PositiveInt = 60_000
    """A durable execution that waits for longer holds no worker until its time has come."""
    max_depth: PositiveInt = 8
    """Operations of other projects that one call may lead to, each called by the workflow of the one before."""
    max_call_depth: PositiveInt = MAX_CALL_DEPTH
    """Workflows that one execution may be inside of, each called by the one before; more than the default are refused
    before anything runs."""
    publish_topics: tuple[str, ...] = ()
    """Topics that `publish` steps may write to, as JSON: names, and prefixes that end in a dot, as in `["orders."]`;
    Weir's own never."""
    http_connections: PositiveInt = 200
    """Connections to one outside host."""
    allow_networks: tuple[Network, ...] = ()
    """Private networks that `http` steps may call, as JSON: `["10.1.0.0/16"]`; none by default."""
    version_wait_ms: PositiveInt = 2_000
    """How long an execution waits for a version that policy knows and this process has not read yet."""
