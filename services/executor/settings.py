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
    # so that a project whose outside system hangs leaves room for the others
    max_in_flight_per_project: PositiveInt = 400
    max_reply_bytes: PositiveInt = 900_000
    max_response_bytes: PositiveInt = 900_000
    # what one step gives, as JSON; a loop, all its passes together
    max_output_bytes: PositiveInt = 5_000_000
    # of each expression: its time, how deep its functions call each other, its result
    expression_timeout_ms: PositiveInt = 1_000
    expression_max_depth: PositiveInt = 200
    expression_max_bytes: PositiveInt = 2_000_000
    # of each script: its time by the clock, its memory; how many run at the same time, each in a process of its own
    script_time_ms: PositiveInt = 1_000
    script_memory_bytes: PositiveInt = 32_000_000
    script_threads: PositiveInt = 2
    # one stored value, one stored list
    storage_max_bytes: PositiveInt = 100_000
    storage_max_items: PositiveInt = 10_000
    # a durable execution that waits for longer holds no worker until its time has come
    park_after_ms: PositiveInt = 60_000
    # operations of other projects that one call may lead to, each called by the workflow of the one before
    max_depth: PositiveInt = 8
    # workflows that one execution may be inside of, each called by the one before; more than the default are refused
    # before anything runs
    max_call_depth: PositiveInt = MAX_CALL_DEPTH
    # topics that `publish` steps may write to: names, and prefixes that end in a dot; Weir's own never
    publish_topics: tuple[str, ...] = ()
    # connections to one outside host
    http_connections: PositiveInt = 200
    # private networks that http steps may call; none without a word
    allow_networks: tuple[Network, ...] = ()
    # a version that policy knows and this process has not read yet arrives within this time
    version_wait_ms: PositiveInt = 2_000
