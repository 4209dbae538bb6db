"""Do the owner's policies let this call in?

In:    the facts of the call, the policies that speak of its operation.
Out:   AccessRejected, by the first policy in file order that rejects; what observing policies would have done.
Never: limits, but for whose count; `limits.py` has them.

Reject wins over accept. Where the project's default is to deny, some policy has to accept, unless the operation is
public.
"""

from collections.abc import Sequence

from shared.decision.callers.identity import CHALLENGE
from shared.decision.case import Case
from shared.errors import AccessRejected
from shared.project.access.facts import Facts
from shared.project.access.rules import CompiledPolicy


def policies_let_in(case: Case) -> AccessRejected | None:
    """Refuse what a policy rejects, and what none accepts where that is needed."""
    guarded, project = case.guarded, case.project
    if guarded is None or project is None:
        return None
    needs_accept = project.denies and not guarded.operation.public
    accepts = guarded.accepts if needs_accept or guarded.limited else ()
    if not guarded.rejects and not accepts and not needs_accept:
        return None
    facts = case.facts
    for compiled in guarded.rejects:
        if compiled.holds(facts):
            policy = compiled.policy
            if policy.enforced:
                return AccessRejected(policy.message or f"policy {policy.name!r} rejects this call",
                                      status=policy.status, policy=policy.name,
                                      headers=CHALLENGE if policy.status == 401 else None)
            case.observed.append(f"{policy.name}:reject")
    if accepts:
        case.accepted, case.counted = _holding(accepts, facts)
    if not needs_accept or any(compiled.policy.enforced for compiled in case.accepted):
        return None
    case.observed.extend(f"{compiled.policy.name}:accept" for compiled in case.accepted)
    return AccessRejected(f"no policy accepts this call of {case.operation!r}; the project denies what none accepts")


def _holding(accepts: Sequence[CompiledPolicy], facts: Facts) -> tuple[list[CompiledPolicy], list[CompiledPolicy]]:
    """Those that accept a call, and those whose limits count it: nobody gets past a limit by what leaves that open."""
    accepted, undecided = [], []
    for compiled in accepts:
        holds = compiled.outcome(facts)
        if holds:
            accepted.append(compiled)
        elif holds is None:
            undecided.append(compiled)
    return accepted, accepted + undecided if undecided else accepted
