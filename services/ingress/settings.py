"""Settings of the ingress service.

In:    `WEIR_INGRESS_*`.
Out:   `IngressSettings`.
Never: settings of a project.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings.kinds import Network, Port


class IngressSettings(BaseSettings):
    """Environment: WEIR_INGRESS_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="WEIR_INGRESS_", frozen=True, extra="ignore")

    port: Port = 8080
    """Of the API; 0: any that is free."""
    max_in_flight: PositiveInt = 2_048
    """Calls under way in one process; past this a caller is told at once, before anything is published."""
    queue_target_ms: PositiveInt = 100
    """Answers that have waited for longer in the cluster's queues make calls wait before them, at the edge."""
    line_patience_ms: PositiveInt = 1_000
    """Whoever has waited at the edge for so long is refused."""
    max_body_bytes: int = Field(900_000, ge=1, le=1_000_000)
    """The largest body of a call; what is much larger fits into no record, with its headers beside it."""
    max_bodies_bytes: PositiveInt = 100_000_000
    """Bodies of all calls together that are read or under way, in memory; past this a caller is told at once."""
    body_ms: PositiveInt = 60_000
    """A body that is not there after so long is not waited for any longer, however much of it has come."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks of load balancers and reverse proxies whose word on the caller's address is believed, as JSON:
    `["10.0.0.0/8"]`."""
    forwarded_by: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    """The one header that those proxies write, `x-forwarded-for` or `forwarded`; another one would be the caller's
    own."""
    certificate_header: Annotated[str, AfterValidator(str.lower)] | None = None
    """The header in which a trusted proxy tells the subject of the client certificate that it has verified."""
    slot: NonNegativeInt | None = None
    """A partition of `weir.replies` of its own, for those who number their instances; without it one is leased."""
    heartbeat_ms: PositiveInt = 15_000
    """A comment keeps a stream of events alive when there is none for so long."""
    grace_ms: PositiveInt = 500
    """An answer that is under way when the deadline passes still arrives within so long."""
    parting_ms: NonNegativeInt = 500
    """An instance that is told to stop takes calls for so long, ends each connection with its answer, and says at
    `/-/ready` that it stops: longer than a load balancer that looks there takes to notice, `6000` where it looks every
    two seconds and believes the third answer. `WEIR_DRAIN_MS` has to be longer by what calls under way need."""
