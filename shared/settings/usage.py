"""Settings of those who answer questions about usage.

In:    `WEIR_ANALYTICS_*`.
Out:   `QuerySettings`.
Never: settings of counting; analytics has those.
"""

from pydantic import PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class QuerySettings(BaseSettings):
    """Environment: WEIR_ANALYTICS_<FIELD>. Analytics answers internal services, control whoever has the admin token."""

    model_config = SettingsConfigDict(env_prefix="WEIR_ANALYTICS_", frozen=True, extra="ignore")

    max_query_buckets: PositiveInt = 3_000
    """One question about usage looks at no more buckets of time; a longer range is refused, and says what would do."""
