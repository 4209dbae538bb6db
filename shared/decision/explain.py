"""Each check in order, with what it saw and why it passed or refused.

In:    a case that nobody has looked at yet; what the amounts say, between the two halves.
Out:   findings, by the very checks that decide.
Never: an amount taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.contracts.request import read_body
from shared.decision.allowances import described
from shared.decision.callers.identity import Identity
from shared.decision.case import Case
from shared.decision.checks.allowance import allowance_lasts
from shared.decision.checks.caller import caller_is_known
from shared.decision.checks.deadline import there_is_time
from shared.decision.checks.form import form_fits
from shared.decision.checks.idempotency import key_is_usable
from shared.decision.checks.input import input_fits
from shared.decision.checks.limits import demands_of, limits_allow
from shared.decision.checks.policies import policies_let_in
from shared.decision.checks.route import operation_is_open
from shared.decision.checks.signals import nobody_blocks
from shared.decision.decide import AFTER_AMOUNTS, BEFORE_AMOUNTS, Check
from shared.errors import InputInvalid, Refused, WeirError
from shared.names.headers import JSON
from shared.project.access.budgets import Kind
from shared.project.access.cel import Undecided
from shared.project.access.facts import Facts
from shared.project.access.rules import CompiledPolicy, CompiledRule

_MAX = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """`verdict`: passed or refused for a check; holds, does not hold for a policy; left for a limit."""

    check: str
    verdict: str
    saw: str
    why: str = ""


def before_amounts(case: Case, assumed: Identity | Refused | None) -> tuple[list[Finding], WeirError | None]:
    """The checks up to the limits. `assumed`: who calls, or how its proof is refused, when none is to be shown."""
    def known(case: Case) -> WeirError | None:
        if assumed is None:
            return caller_is_known(case)
        if isinstance(assumed, Refused):
            return assumed
        case.client, case.roles, case.claims, case.token = assumed.client, assumed.roles, assumed.claims, assumed.token
        return None
    findings, refusal = _run([(_NAMES[check], known if check is caller_is_known else check)
                              for check in BEFORE_AMOUNTS], case)
    if refusal is None:
        case.demands = demands_of(case)
    return findings, refusal


def after_amounts(case: Case) -> tuple[list[Finding], WeirError | None]:
    """The rest; `case.outcomes` is there."""
    return _run([(_NAMES[check], check) for check in AFTER_AMOUNTS], case)


def before_work(case: Case) -> tuple[list[Finding], WeirError | None]:
    """What the executor asks before it begins: where an operation declares no body, nobody has read it before."""
    body = case.request.body
    try:
        read_body(body, case.request.content_type)
    except InputInvalid as refusal:
        return [Finding("body", "refused", f"{len(body)} bytes of {JSON}, by its type",
                        f"{refusal.status} {refusal.reason}: {refusal}")], refusal
    return [], None


def _run(checks: Sequence[tuple[str, Check]], case: Case) -> tuple[list[Finding], WeirError | None]:
    findings: list[Finding] = []
    for name, check in checks:
        refusal = check(case)
        findings += _DETAILS.get(name, _nothing)(case)
        findings.append(Finding(name, "passed" if refusal is None else "refused", _SAW[name](case),
                                "" if refusal is None else f"{refusal.status} {refusal.reason}: {refusal}"))
        if refusal is not None:
            return findings, refusal
    return findings, None


def _policies(case: Case) -> list[Finding]:
    if case.guarded is None:
        return []
    return [_policy(compiled, case.facts) for compiled in (*case.guarded.rejects, *case.guarded.accepts)]


def _policy(compiled: CompiledPolicy, facts: Facts) -> Finding:
    policy = compiled.policy
    rules = "; ".join(f"{rule.kind}: {rule.saw(facts)[:_MAX]} ({_holds(rule, facts)})" for rule in compiled.rules)
    observing = "" if policy.enforced else ", only observes"
    counting = ", but its limits count" if compiled.limits and compiled.outcome(facts) is None else ""
    return Finding(f"policy {policy.name}", "holds" if compiled.holds(facts) else "does not hold",
                   rules or "no rules: it always holds", f"{policy.action}{observing}{counting}")


def _holds(rule: CompiledRule, facts: Facts) -> str:
    try:
        return "holds" if rule.holds(facts) else "does not hold"
    except Undecided as exc:
        # why an expression has none stands in what it saw
        return str(exc) if rule.kind.startswith(("header ", "body ")) else "has no value"


def _limits(case: Case) -> list[Finding]:
    return [Finding(f"limit {demand.name}", "spent" if outcome.wait_ms else "left",
                    f"{outcome.left} of {demand.limit} left, the call costs {demand.cost}",
                    ", ".join([*([f"wait {outcome.wait_ms} ms"] if outcome.wait_ms else []),
                               *([] if demand.enforced else ["only observes"])]))
            for demand, outcome in zip(case.demands, case.outcomes, strict=False) if demand.kind is not Kind.ALLOWANCE]


def _allowances(case: Case) -> list[Finding]:
    return [Finding(f"allowance {grant.allowance.label}", "left" if outcome.left else "spent",
                    f"{min(outcome.left, grant.tasks)} of {grant.tasks} tasks left, the call costs "
                    f"{demand.cost} at least",
                    f"{described(grant.allowance)}; the next {grant.allowance.per} begins in "
                    f"{outcome.reset_ms // 1000} s")
            for grant, (demand, outcome) in zip(case.grants, [
                told for told in zip(case.demands, case.outcomes, strict=False)
                if told[0].kind is Kind.ALLOWANCE], strict=False)]


def _nothing(_: Case) -> list[Finding]:
    return []


_NAMES: dict[Check, str] = {
    there_is_time: "deadline", operation_is_open: "route", caller_is_known: "caller", policies_let_in: "policies",
    nobody_blocks: "signals", key_is_usable: "idempotency", limits_allow: "limits", allowance_lasts: "allowance",
    form_fits: "form",
    input_fits: "input"}
_DETAILS: dict[str, Callable[[Case], list[Finding]]] = {"policies": _policies, "limits": _limits,
                                                      "allowance": _allowances}
_SAW: dict[str, Callable[[Case], str]] = {
    "deadline": lambda case: "",
    "route": lambda case: f"operation {case.operation}" if case.operation else "no operation",
    "caller": lambda case: (f"client {case.client}, roles {', '.join(sorted(case.roles)) or 'none'}" if case.client
                            else "nobody"),
    "policies": lambda case: f"{len(case.guarded.rejects)} that reject, {len(case.guarded.accepts)} that accept"
    if case.guarded is not None else "",
    "signals": lambda case: f"{len(case.throttles)} throttles" if case.throttles else "nothing about the caller",
    "idempotency": lambda case: ("a key; whether it was used before is not looked at" if case.claim is not None
                                 else "no key"),
    "limits": lambda case: f"{len(case.demands) - len(case.grants)} limits",
    "allowance": lambda case: f"{len(case.grants)} allowances",
    "form": lambda case: f"{len(case.request.body)} bytes of body",
    "input": lambda case: "the operation's schemas"}
