"""Is there enough left of the owner's limits?

In:    the accept policies whose limits count; what the amounts said about the call's demands.
Out:   the demands; RateLimited with what to wait; the `RateLimit` headers of the answer.
Never: the amounts themselves: policy asks the store, replay a memory.

Header syntax: draft-ietf-httpapi-ratelimit-headers-10.
"""

from collections.abc import Sequence
from functools import lru_cache

from shared.decision.amounts import UNKNOWN, Outcome
from shared.decision.callers.identity import invalid
from shared.decision.case import Case
from shared.decision.checks.allowance import allowance_demands
from shared.errors import RateLimited, Refused, Unavailable
from shared.project.access.budgets import Demand, Kind


def demands_of(case: Case) -> list[Demand]:
    """What the call would take from each limit that applies to it."""
    demands = [*case.throttles] if case.once is None else [case.once, *case.throttles]
    for compiled in case.counted:
        for limit in compiled.limits:
            demands.append(limit.demand(case.facts))
    demands.extend(allowance_demands(case))
    return demands


def limits_allow(case: Case) -> Refused | None:
    """Refuse what does not fit; note the headers of the answer, whatever it will be."""
    if case.once is not None and case.outcomes and case.outcomes[0].wait_ms:
        return (Unavailable("the store is away that knows which messages have come before; try again shortly",
                            headers={"Retry-After": "2"}) if case.outcomes[0] is UNKNOWN
                else invalid("this message has been delivered before"))
    windows, refusing = [], []
    for told in zip(case.demands, case.outcomes, strict=False):
        demand, outcome = told
        if demand.kind is Kind.ALLOWANCE:
            break
        if demand.enforced:
            if demand.width_ms:
                windows.append(told)
            if outcome.wait_ms:
                refusing.append(told)
        elif outcome.wait_ms:
            case.observed.append(f"{demand.name}:limit")
    if windows:
        _note_headers(case.answer_headers, windows)
    if not refusing:
        return None
    demand, outcome = max(refusing, key=lambda pair: pair[1].wait_ms)
    return RateLimited(_told(demand, outcome), headers={
        **case.answer_headers, "Retry-After": str(_seconds(outcome.wait_ms))}, members={"limit": demand.name})


def _told(demand: Demand, outcome: Outcome) -> str:
    """Why it refuses: whoever waits for what is never let in waits in vain."""
    what = (f"{demand.limit} calls at the same time" if demand.kind is Kind.CONCURRENT
            else f"{demand.limit} per {demand.width_ms // 1000} s")
    # a smooth one has no size
    dearest = demand.extra or demand.limit if demand.kind is Kind.BUCKET else demand.limit
    if demand.cost > dearest:
        return (f"the call costs {demand.cost}, and limit {demand.name!r} ({what}) never lets in one that costs more "
                f"than {dearest}")
    return f"limit {demand.name!r} ({what}) is spent; wait {_seconds(outcome.wait_ms)} s"


def _note_headers(headers: dict[str, str], windows: Sequence[tuple[Demand, Outcome]]) -> None:
    if len(windows) == 1:
        demand, outcome = windows[0]
        headers["RateLimit-Policy"] = _policy(demand.name, demand.limit, demand.width_ms)
    else:
        demand, outcome = _shown(windows)
        headers["RateLimit-Policy"] = ", ".join([_policy(one.name, one.limit, one.width_ms) for one, _ in windows])
    headers["RateLimit"] = f'"{demand.name}";r={outcome.left};t={_seconds(outcome.wait_ms or outcome.reset_ms)}'


def _shown(windows: Sequence[tuple[Demand, Outcome]]) -> tuple[Demand, Outcome]:
    """The window that keeps the caller waiting; where none does, the tightest."""
    longest = max(windows, key=lambda pair: pair[1].wait_ms)
    if longest[1].wait_ms:
        return longest
    # of a smooth one nothing is ever left, however seldom somebody calls
    telling = [pair for pair in windows if not pair[0].smooth] or windows
    return min(telling, key=lambda pair: (pair[1].left / pair[0].most, -pair[0].width_ms))


@lru_cache(maxsize=1_000)
def _policy(name: str, limit: int, width_ms: int) -> str:
    return f'"{name}";q={limit};w={_seconds(width_ms)}'


def _seconds(ms: int) -> int:
    return max(1, -(-ms // 1000))
