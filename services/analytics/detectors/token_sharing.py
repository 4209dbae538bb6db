"""One token comes from everywhere. Pure.

In:    addresses of calls, by token.
Out:   a finding when one token comes from many.
Never: an address remembered: a mark stands for it.
"""

from functools import lru_cache

from services.analytics.detectors.look import Finding, Look, LooksAt, Sighting, Span, neighbourhood, window
from shared.contracts.token import mark
from shared.contracts.usage import UsageEvent
from shared.names.reasons import Reason
from shared.project.access.abuse import Abuse
from shared.project.access.abuse import TokenSharing as Settings


class TokenSharing:
    """A token that was passed on, or stolen."""

    name, version = "token-sharing", 1
    looks_at: LooksAt = "places"
    weighs_calls = False
    reasons: frozenset[Reason] = frozenset()

    def settings(self, abuse: Abuse) -> Settings:
        """Its own part."""
        return abuse.token_sharing

    def sees(self, event: UsageEvent) -> Sighting | None:
        """A token and a mark of where it came from."""
        if not event.token or not event.address:
            return None
        return Sighting("token", event.token, _mark(event.address))

    def span(self, abuse: Abuse) -> Span:
        """A longer window."""
        return window(abuse.token_sharing.within_ms)

    def judge(self, look: Look, abuse: Abuse) -> Finding | None:
        """Many different addresses."""
        if look.marks < abuse.token_sharing.addresses:
            return None
        return Finding(reason="this token comes from too many addresses",
                       evidence={"addresses": look.marks})


@lru_cache(maxsize=50_000)
def _mark(address: str) -> str:
    return mark(neighbourhood(address))
