"""What becomes of a finding. Pure.

In:    a finding, the project's settings, the signal in force about the same subject, the time.
Out:   a signal; whether it says more than what is in force.
Never: a word against a person's.
"""

from services.analytics.detectors.look import Finding, Look
from services.analytics.sightings import Row
from shared.contracts.signal import EVERYWHERE, MANUAL, Signal
from shared.project.access.abuse import Abuse

_STRENGTH = {"observe": 0, "throttle": 1, "block": 2}


def signal_of(row: Row, look: Look, finding: Finding, abuse: Abuse, now_ms: int) -> Signal:
    """A finding as a signal; one about callers of no project holds everywhere."""
    own = row.detector.settings(abuse)
    action = own.action or abuse.action
    for_ms = abuse.for_ms if own.for_ms is None else own.for_ms
    span = row.detector.span(abuse)
    within_s = 60 if span.busiest else span.slice_ms * span.slices // 1000
    return Signal(
        project=row.project or EVERYWHERE, kind=row.kind, subject=row.subject,  # type: ignore[arg-type]  # detectors name kinds of signals
        action=action, until=now_ms + for_ms, time=now_ms, detector=row.detector.name, version=row.detector.version,
        reason=finding.reason, rate=(own.rate or abuse.rate) if action == "throttle" else 0,
        evidence={**finding.evidence, "within_s": within_s, "requests": list(look.samples)})


def says_more(signal: Signal, there: Signal | None, now_ms: int) -> bool:
    """Whether it is stronger than the one in force, or that one is past half of its time."""
    if there is None:
        return True
    if there.detector == MANUAL or there.pinned:
        return False
    stronger = _STRENGTH[signal.action] - _STRENGTH.get(there.action, 0)
    if stronger:
        return stronger > 0
    return there.until - now_ms < (there.until - there.time) // 2
