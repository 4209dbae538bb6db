"""Settings of the policy service.

In:    `WEIR_POLICY_*`.
Out:   `PolicySettings`.
Never: limits of a project; those are the project's own.
"""

from pydantic import PositiveInt

from shared.settings.requests import RequestSettings


class PolicySettings(RequestSettings):
    """Environment: WEIR_POLICY_<FIELD>."""

    max_open_records: PositiveInt = 2_000
    """Requests that one process has read and not decided; enough to keep several batches under way, few enough to be
    delivered again quickly after a kill."""
    instances: PositiveInt = 1
    """How many processes of policy share each limit while the store is away."""
    store_rest_ms: PositiveInt = 1_000
    """How long a store that failed is left alone."""
    key_sets_every_s: PositiveInt = 300
    """How often key sets of token issuers are fetched anew."""
    key_sets_rest_s: PositiveInt = 10
    """The least time between two fetches of one key set."""
    result_keep_ms: PositiveInt = 86_400_000
    """For how long the result of an execution can be asked for."""
