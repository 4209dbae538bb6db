"""What a request record may be, whoever reads it: policy, which decides it, and control, which does so again.

In:    `WEIR_POLICY_*`; a control that is to replay what policy decided needs the same ones.
Out:   `RequestSettings`.
Never: a bound of a project; those are the project's own.
"""

from pydantic import PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class RequestSettings(BaseSettings):
    """Environment: WEIR_POLICY_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="WEIR_POLICY_", frozen=True, extra="ignore")

    reply_prefixes: tuple[str, ...] = ("weir.replies", "replies.")
    """Where answers to internal requests may be written, as JSON: a topic's name, or a prefix that ends in a dot."""
    max_body_bytes: PositiveInt = 900_000
    """The largest body of an internal request."""
