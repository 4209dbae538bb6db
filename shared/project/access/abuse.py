"""What counts as abuse of a project, and what happens then, as its owner writes it.

In:    the mapping `abuse` of `access.yaml`.
Out:   frozen models: one per detector, and what they share.
Never: a look at traffic; the detectors of analytics have that.

The defaults let busy but honest callers be: a retry loop with one stale token, a browser that asks for its icons, a
batch job that meets a limit and waits, a client whose every night has its rush.
"""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from shared.project.access.policies import Network
from shared.project.access.sparse import Sparse
from shared.project.base import Name
from shared.project.durations import Duration
from shared.project.webhook import Webhook

Action = Literal["observe", "throttle", "block"]
# a signal that lasts longer is made by a person
_LONGEST_MS = 86_400_000


class Exempt(Sparse):
    """Who is never found. `networks`: in CIDR notation, or names of lists under `networks`."""

    networks: tuple[Network, ...] = ()
    clients: tuple[Name, ...] = ()


class Detecting(Sparse):
    """What every detector has; where it says nothing the settings of `abuse` hold."""

    # two settings of which the first can never be more than the second
    BOUNDED: ClassVar[tuple[str, str] | None] = None

    enabled: bool = True
    action: Action | None = None
    for_ms: Duration | None = Field(default=None, alias="for", ge=1000, le=_LONGEST_MS)
    rate: int | None = Field(default=None, ge=1, le=1_000_000, description="Calls a minute that a throttle leaves")

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.BOUNDED is not None:
            part, whole = self.BOUNDED
            if getattr(self, part) > getattr(self, whole):
                raise ValueError(f"this can never hold: `{part}` is more than `{whole}`")
        return self


class CredentialBurst(Detecting):
    """One address tries credentials that are refused: so many `failures`, with so many different `proofs`."""

    BOUNDED: ClassVar[tuple[str, str] | None] = ("proofs", "failures")

    failures: int = Field(default=20, ge=2, le=100_000)
    proofs: int = Field(default=5, ge=1, le=50)
    within_ms: Duration = Field(default=60_000, alias="within", ge=30_000, le=3_600_000)


class PathScan(Detecting):
    """One address asks for so many different `paths` that lead to no operation."""

    paths: int = Field(default=12, ge=2, le=50)
    within_ms: Duration = Field(default=60_000, alias="within", ge=30_000, le=3_600_000)


class Hammering(Detecting):
    """A caller goes on after 429: so many `refusals`, at least that `share` of its calls, for as long as `lasting`."""

    refusals: int = Field(default=100, ge=2, le=1_000_000)
    share: float = Field(default=0.5, gt=0, le=1)
    lasting_ms: Duration = Field(default=20_000, alias="lasting", ge=1_000, le=3_600_000)
    within_ms: Duration = Field(default=60_000, alias="within", ge=30_000, le=3_600_000)

    @model_validator(mode="after")
    def _lasts_no_longer_than_is_looked_at(self) -> Self:
        if self.lasting_ms > self.within_ms:
            raise ValueError("this can never hold: `lasting` is longer than `within`")
        return self


class TokenSharing(Detecting):
    """One token comes from so many `addresses`; IPv6 ones of one network of 64 bits count once."""

    addresses: int = Field(default=20, ge=2, le=50)
    within_ms: Duration = Field(default=600_000, alias="within", ge=30_000, le=3_600_000)


class RateJump(Detecting):
    """A client makes `factor` times as many calls a minute as in its busiest minute of the last week, and at least
    `calls`; it has been known for as long as `learn`."""

    factor: float = Field(default=10, ge=1.5, le=1000)
    calls: int = Field(default=600, ge=10, le=10_000_000)
    learn_ms: Duration = Field(default=21_600_000, alias="learn", ge=10_800_000, le=6 * 86_400_000)


class ErrorPayloads(Detecting):
    """A caller sends what makes errors: so many `errors`, at least that `share` of its calls, in so many different
    `shapes` (operation, error and size)."""

    BOUNDED: ClassVar[tuple[str, str] | None] = ("shapes", "errors")

    errors: int = Field(default=50, ge=2, le=1_000_000)
    share: float = Field(default=0.8, gt=0, le=1)
    shapes: int = Field(default=10, ge=1, le=50)
    within_ms: Duration = Field(default=120_000, alias="within", ge=30_000, le=3_600_000)


class Abuse(Sparse):
    """`addresses`: whether usage events say where calls come from. `for`: how long a signal lasts."""

    action: Action = Field(default="observe", description="What a detector does that says nothing else")
    for_ms: Duration = Field(default=900_000, alias="for", ge=1000, le=_LONGEST_MS)
    rate: int = Field(default=10, ge=1, le=1_000_000, description="Calls a minute that a throttle leaves")
    addresses: bool = True
    exempt: Exempt = Exempt()
    webhook: Webhook | None = None
    credential_burst: CredentialBurst = CredentialBurst()
    path_scan: PathScan = PathScan()
    hammering: Hammering = Hammering()
    token_sharing: TokenSharing = TokenSharing()
    rate_jump: RateJump = RateJump()
    error_payloads: ErrorPayloads = ErrorPayloads()
