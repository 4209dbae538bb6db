"""Settings of the policy service.

In:    `WEIR_POLICY_*`.
Out:   `PolicySettings`.
Never: limits of a project; those are the project's own.
"""

from pydantic import PositiveInt

from shared.settings.requests import RequestSettings


class PolicySettings(RequestSettings):
    """Environment: WEIR_POLICY_<FIELD>."""

    # enough to keep several batches under way, few enough to be redelivered quickly after a kill
    max_open_records: PositiveInt = 2_000
    # how many policy instances share each limit while the store is away
    instances: PositiveInt = 1
    # how long a store that failed is left alone
    store_rest_ms: PositiveInt = 1_000
    # how often key sets of token issuers are fetched anew, and the least time between two fetches of one
    key_sets_every_s: PositiveInt = 300
    key_sets_rest_s: PositiveInt = 10
    # for how long the result of an execution can be asked for
    result_keep_ms: PositiveInt = 86_400_000
