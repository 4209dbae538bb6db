"""A client calls far more often than it ever does. Pure.

In:    a client's busiest minute of each three hours of the last week, and its calls of this minute.
Out:   a finding when this minute is far above all those.
Never: an opinion about a client that is not known for long.

What is compared is the busiest minute, not the mean: a client whose every night has its rush has had it before.
"""

from services.analytics.detectors.look import Finding, Look, LooksAt, Sighting, Span
from shared.contracts.usage import UsageEvent
from shared.names.reasons import Reason
from shared.project.access.abuse import Abuse
from shared.project.access.abuse import RateJump as Settings

BLOCK_MS = 10_800_000
_WEEK = 56


class RateJump:
    """Far above the client's own baseline."""

    name, version = "rate-jump", 2
    looks_at: LooksAt = "callers"
    weighs_calls = False
    reasons: frozenset[Reason] = frozenset()

    def settings(self, abuse: Abuse) -> Settings:
        """Its own part."""
        return abuse.rate_jump

    def sees(self, event: UsageEvent) -> Sighting | None:
        """A client."""
        return Sighting("client", event.client) if event.client else None

    def span(self, abuse: Abuse) -> Span:
        """A week, and what runs."""
        return Span(BLOCK_MS, _WEEK + 1, busiest=True)

    def judge(self, look: Look, abuse: Abuse) -> Finding | None:
        """Far above all that was before."""
        # the three hours that run hold the jump itself; of the first ones it may have been there for a minute alone
        settings, before, now = abuse.rate_jump, look.hits[:-1], look.calls[-1]
        if (len(before) - 1) * BLOCK_MS < settings.learn_ms or now < settings.calls:
            return None
        usual = max(before)
        if now < settings.factor * max(1, usual):
            return None
        return Finding(reason="far more calls than this client ever makes",
                       evidence={"calls_per_minute": now, "busiest_minute_before": usual})
