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
    # past this a caller is told at once, before anything is published
    max_in_flight: PositiveInt = 2_048
    # answers that have waited for longer than this in the cluster's queues make calls wait before them, at the edge
    queue_target_ms: PositiveInt = 100
    # whoever has waited at the edge for so long is refused
    line_patience_ms: PositiveInt = 1_000
    # what is much larger fits into no record, with its headers beside it
    max_body_bytes: int = Field(900_000, ge=1, le=1_000_000)
    # bodies of all calls together that are read or under way, in memory; past this a caller is told at once
    max_bodies_bytes: PositiveInt = 100_000_000
    # a body that is not there after so long is not waited for any longer, however much of it has come
    body_ms: PositiveInt = 60_000
    # networks whose word on the caller's address is believed: load balancers, reverse proxies
    trusted_proxies: tuple[Network, ...] = ()
    # the one header that those proxies write; another one would be the caller's own
    forwarded_by: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    # header in which a trusted proxy tells the subject of the client certificate that it has verified
    certificate_header: Annotated[str, AfterValidator(str.lower)] | None = None
    # a partition of weir.replies of its own, for those who number their instances; without it one is leased
    slot: NonNegativeInt | None = None
    # a comment keeps a stream of events alive when there is none for so long
    heartbeat_ms: PositiveInt = 15_000
    # an answer that is under way when the deadline passes still arrives
    grace_ms: PositiveInt = 500
