"""One address tries one credential after the other. Pure.

In:    refusals of credentials, by address.
Out:   a finding when there were many, of many different proofs.
Never: a finding about somebody who sends the same stale token again and again.
"""

from services.analytics.detectors.look import Finding, Look, LooksAt, Sighting, Span, by_address, window
from shared.contracts.usage import UsageEvent
from shared.names.reasons import Reason
from shared.project.access.abuse import Abuse
from shared.project.access.abuse import CredentialBurst as Settings


class CredentialBurst:
    """Credential stuffing, guessing of tokens."""

    name, version = "credential-burst", 1
    looks_at: LooksAt = "events"
    weighs_calls = False
    reasons = frozenset({Reason.CREDENTIALS_INVALID, Reason.CREDENTIALS_EXPIRED})

    def settings(self, abuse: Abuse) -> Settings:
        """Its own part."""
        return abuse.credential_burst

    def sees(self, event: UsageEvent) -> Sighting | None:
        """An address and the mark of what it tried."""
        return by_address(event, event.proof or "")

    def span(self, abuse: Abuse) -> Span:
        """A short window."""
        return window(abuse.credential_burst.within_ms)

    def judge(self, look: Look, abuse: Abuse) -> Finding | None:
        """Many failures, of many proofs."""
        settings, failures = abuse.credential_burst, sum(look.hits)
        if failures < settings.failures or look.marks < settings.proofs:
            return None
        return Finding(reason="too many refused credentials", evidence={"failures": failures, "proofs": look.marks})
