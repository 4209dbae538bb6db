"""Somebody looks for input that breaks something. Pure.

In:    errors that the caller's input made, by client, or by address where there is no client.
Out:   a finding when there are many, of many shapes, and they are most of what the caller gets.
Never: a finding about errors of outside systems, or about a batch job some of whose rows are wrong.
"""

from services.analytics.detectors.look import Finding, Look, LooksAt, Sighting, Span, caller, window
from shared.contracts.token import mark
from shared.contracts.usage import UsageEvent
from shared.names.reasons import Reason
from shared.project.access.abuse import Abuse
from shared.project.access.abuse import ErrorPayloads as Settings


class ErrorPayloads:
    """Fuzzing, injection."""

    name, version = "error-payloads", 1
    looks_at: LooksAt = "events"
    weighs_calls = True
    reasons = frozenset({Reason.INPUT_INVALID, Reason.BODY_TOO_LARGE, Reason.MEDIA_TYPE_UNSUPPORTED,
                         Reason.WORKFLOW_FAILED, Reason.REPLY_INVALID})

    def settings(self, abuse: Abuse) -> Settings:
        """Its own part."""
        return abuse.error_payloads

    def sees(self, event: UsageEvent) -> Sighting | None:
        """Whoever called, and a mark of the input's shape."""
        return caller(event, mark(f"{event.operation} {event.reason} {event.bytes_in}"))

    def span(self, abuse: Abuse) -> Span:
        """A short window."""
        return window(abuse.error_payloads.within_ms)

    def judge(self, look: Look, abuse: Abuse) -> Finding | None:
        """Many errors of many shapes, and little else."""
        settings, errors = abuse.error_payloads, sum(look.hits)
        share = errors / max(errors, sum(look.calls))
        if errors < settings.errors or look.marks < settings.shapes or share < settings.share:
            return None
        return Finding(reason="too much input that makes errors",
                       evidence={"errors": errors, "shapes": look.marks, "share": round(share, 2)})
