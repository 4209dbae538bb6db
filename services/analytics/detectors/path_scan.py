"""One address looks for what is there. Pure.

In:    calls that led to no operation, by address.
Out:   a finding when they went to many different paths.
Never: a finding about one wrong path, however often it is called.
"""

from services.analytics.detectors.look import Finding, Look, LooksAt, Sighting, Span, by_address, window
from shared.contracts.usage import UsageEvent
from shared.names.reasons import Reason
from shared.project.access.abuse import Abuse
from shared.project.access.abuse import PathScan as Settings


class PathScan:
    """A walk through paths that lead nowhere."""

    name, version = "path-scan", 1
    looks_at: LooksAt = "events"
    weighs_calls = False
    reasons = frozenset({Reason.OPERATION_NOT_FOUND, Reason.METHOD_NOT_ALLOWED})

    def settings(self, abuse: Abuse) -> Settings:
        """Its own part."""
        return abuse.path_scan

    def sees(self, event: UsageEvent) -> Sighting | None:
        """An address and the class of the path."""
        return None if event.path is None else by_address(event, event.path)

    def span(self, abuse: Abuse) -> Span:
        """A short window."""
        return window(abuse.path_scan.within_ms)

    def judge(self, look: Look, abuse: Abuse) -> Finding | None:
        """Many different paths."""
        if look.marks < abuse.path_scan.paths:
            return None
        return Finding(reason="too many paths that lead nowhere",
                       evidence={"calls": sum(look.hits), "paths": look.marks, "some": list(look.shown)})
