"""Do the owner's policies let this call in?

In:    the facts of the call, the policies that speak of its operation.
Out:   AccessRejected, by the first policy in file order that rejects; what observing policies would have done.
Never: limits, but for whose count; `limits.py` has them.

Reject wins over accept. Where the project's default is to deny, some policy has to accept, unless the operation is
public.
"""

from shared.decision.callers.identity import CHALLENGE
from shared.decision.case import Case
from shared.errors import AccessRejected


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
    outcomes = [(compiled, compiled.outcome(facts)) for compiled in accepts]
    if outcomes:
        case.accepted = [compiled for compiled, outcome in outcomes if outcome]
        # a call of which nobody can say whether a policy means it does not get past the policy's limits
        case.counted = [compiled for compiled, outcome in outcomes if outcome is not False]
    if not needs_accept or any(compiled.policy.enforced for compiled in case.accepted):
        return None
    case.observed.extend(f"{compiled.policy.name}:accept" for compiled in case.accepted)
    return AccessRejected(f"no policy accepts this call of {case.operation!r}; the project denies what none accepts")
