"""Somebody is told to wait, and goes on. Pure.

In:    429s of limits and of allowances, by client, or by address where there is no client.
Out:   a finding when they last, and are most of what the caller gets.
Never: a finding about a burst that ends when it is told to.
"""

from services.analytics.detectors.look import TICK_MS, Finding, Look, LooksAt, Sighting, Span, caller, window
from shared.contracts.usage import UsageEvent
from shared.names.reasons import Reason
from shared.project.access.abuse import Abuse
from shared.project.access.abuse import Hammering as Settings


class Hammering:
    """Calls without a pause after 429."""

    name, version = "hammering", 2
    looks_at: LooksAt = "events"
    weighs_calls = True
    reasons = frozenset({Reason.RATE_LIMITED, Reason.ALLOWANCE_EXHAUSTED})

    def settings(self, abuse: Abuse) -> Settings:
        """Its own part."""
        return abuse.hammering

    def sees(self, event: UsageEvent) -> Sighting | None:
        """Whoever called."""
        return caller(event)

    def span(self, abuse: Abuse) -> Span:
        """A short window."""
        return window(abuse.hammering.within_ms)

    def judge(self, look: Look, abuse: Abuse) -> Finding | None:
        """Many refusals, in slice after slice, and little else."""
        settings, refusals, slice_ms = abuse.hammering, sum(look.hits), self.span(abuse).slice_ms
        slices = sum(1 for hits in look.hits if hits)
        lasting = slices * slice_ms
        share = refusals / max(refusals, sum(look.calls))
        if refusals < settings.refusals or lasting < settings.lasting_ms or share < settings.share:
            return None
        if slices == 1 and settings.lasting_ms > TICK_MS:
            # a slice of a long window is longer than a burst, and says nothing of how long it was
            return None
        return Finding(reason="calls went on after 429; wait as Retry-After says",
                       evidence={"refusals": refusals, "share": round(share, 2), "lasting_s": lasting // 1000})
