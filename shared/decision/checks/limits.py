"""Is there enough left of the owner's limits?

In:    the accept policies that hold; what the amounts said about the call's demands.
Out:   the demands; RateLimited with what to wait; the `RateLimit` headers of the answer.
Never: the amounts themselves: policy asks the store, replay a memory.

Header syntax: draft-ietf-httpapi-ratelimit-headers-10.
"""

from collections.abc import Sequence

from shared.decision.amounts import UNKNOWN, Outcome
from shared.decision.callers.identity import invalid
from shared.decision.case import Case
from shared.decision.checks.allowance import allowance_demands
from shared.errors import RateLimited, Refused, Unavailable
from shared.project.access.budgets import Demand, Kind


def demands_of(case: Case) -> list[Demand]:
    """What the call would take from each limit that applies to it."""
    demands = [*case.throttles, *(limit.demand(case.facts) for compiled in case.accepted for limit in compiled.limits),
               *allowance_demands(case)]
    return demands if case.once is None else [case.once, *demands]


def limits_allow(case: Case) -> Refused | None:
    """Refuse what does not fit; note the headers of the answer, whatever it will be."""
    if case.once is not None and case.outcomes and case.outcomes[0].wait_ms:
        return (Unavailable("the store is away that knows which messages have come before; try again shortly",
                            headers={"Retry-After": "2"}) if case.outcomes[0] is UNKNOWN
                else invalid("this message has been delivered before"))
    enforced, refusing = [], []
    for told in zip(case.demands, case.outcomes, strict=False):
        demand, outcome = told
        if demand.kind is Kind.ALLOWANCE:
            break
        if demand.enforced:
            enforced.append(told)
            if outcome.wait_ms:
                refusing.append(told)
        elif outcome.wait_ms:
            case.observed.append(f"{demand.name}:limit")
    if enforced:
        case.answer_headers.update(_headers(enforced))
    if not refusing:
        return None
    demand, outcome = max(refusing, key=lambda pair: pair[1].wait_ms)
    what = (f"{demand.limit} calls at the same time" if demand.kind is Kind.CONCURRENT
            else f"{demand.limit} per {demand.width_ms / 1000:g} s")
    return RateLimited(f"limit {demand.name!r} ({what}) is spent; wait {_seconds(outcome.wait_ms)} s", headers={
        **case.answer_headers, "Retry-After": str(_seconds(outcome.wait_ms))}, members={"limit": demand.name})


def _headers(told: Sequence[tuple[Demand, Outcome]]) -> dict[str, str]:
    windows = [one for one in told if one[0].width_ms]
    if not windows:
        return {}
    demand, outcome = windows[0] if len(windows) == 1 else min(
        windows, key=lambda pair: (pair[1].left / pair[0].limit, -pair[0].width_ms))
    return {
        "RateLimit-Policy": ", ".join(f'"{one.name}";q={one.limit};w={_seconds(one.width_ms)}' for one, _ in windows),
        "RateLimit": f'"{demand.name}";r={outcome.left};t={_seconds(outcome.wait_ms or outcome.reset_ms)}'}


def _seconds(ms: int) -> int:
    return max(1, -(-ms // 1000))
