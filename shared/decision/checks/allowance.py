"""Is there anything left of what may be spent?

In:    the allowances that count the call; what the amounts said about them.
Out:   the demands; AllowanceExhausted with what to wait; the `Allowance` header of the answer.
Never: a task counted: analytics counts what has run.

The header lists every allowance that counts the call: `"name";q=tasks of the period;r=left;t=seconds to its end`.
"""

from collections.abc import Sequence

from shared.decision.allowances import Grant
from shared.decision.amounts import Outcome
from shared.decision.case import Case
from shared.errors import AllowanceExhausted
from shared.names.headers import HTTP_ALLOWANCE
from shared.project.access.budgets import Demand


def allowance_demands(case: Case) -> Sequence[Demand]:
    """Note what the call spends from; one demand each, to be the last ones of the case."""
    guarded, book = case.guarded, case.book
    if guarded is None or not guarded.allowances:
        return ()
    case.grants = [
        one.grant(case.client, guarded.operation.name, case.now_ms, book.adjustment(one.project, one.allowance.label))
        for one in guarded.allowances if one.concerns(case.client)]
    return [grant.demand(guarded.least_tasks) for grant in case.grants]


def allowance_lasts(case: Case) -> AllowanceExhausted | None:
    """Refuse what comes when all is spent; note the header of the answer."""
    if not case.grants or not case.outcomes:
        return None
    told = list(zip(case.grants, case.outcomes[-len(case.grants):], strict=True))
    case.answer_headers[HTTP_ALLOWANCE] = ", ".join(
        f'"{grant.allowance.label}";q={grant.tasks};r={min(outcome.left, grant.tasks)};t={_seconds(outcome.reset_ms)}'
        for grant, outcome in told)
    over = [(grant, outcome) for grant, outcome in told if outcome.wait_ms]
    refusing = [one for one in over if one[0].allowance.at_limit != "overage"]
    if not refusing:
        case.observed.extend(f"{grant.allowance.label}:overage" for grant, _ in over)
        return None
    grant, outcome = max(refusing, key=lambda pair: pair[1].wait_ms)
    return AllowanceExhausted(_sentence(grant, outcome), members={"allowance": grant.allowance.label}, headers={
        **case.answer_headers, "Retry-After": str(_seconds(outcome.wait_ms))})


def _sentence(grant: Grant, outcome: Outcome) -> str:
    allowance = grant.allowance
    spent = f"allowance {allowance.label!r} ({grant.tasks} tasks per {allowance.per}) is spent"
    if allowance.rate:
        return (f"{spent}; {allowance.rate} calls a minute go on until the next {allowance.per}, wait "
                f"{_seconds(outcome.wait_ms)} s")
    return f"{spent}; the next {allowance.per} begins in {_seconds(outcome.reset_ms)} s ({allowance.zone})"


def _seconds(ms: int) -> int:
    return max(1, -(-ms // 1000))
