"""Admit or refuse one call.

In:    a `Case`; between two of its checks, what the amounts say.
Out:   `Decision`: the first refusal in the order of the checks, or none.
Never: I/O, a clock, logging.

Policy asks the amounts for all calls of a poll at once, so the decision has two halves: `look` and `settle`.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, structs

from shared.decision.amounts import Amounts
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
from shared.errors import WeirError
from shared.names.reasons import Reason

Check = Callable[[Case], WeirError | None]
BEFORE_AMOUNTS: tuple[Check, ...] = (there_is_time, operation_is_open, caller_is_known, nobody_blocks,
                                    policies_let_in, key_is_usable)
AFTER_AMOUNTS: tuple[Check, ...] = (limits_allow, allowance_lasts, form_fits, input_fits)
# as traces know them
CHECK_NAMES: Mapping[Check, str] = {
    there_is_time: "deadline", operation_is_open: "route", caller_is_known: "caller", nobody_blocks: "signals",
    policies_let_in: "policies", key_is_usable: "idempotency", limits_allow: "limits", allowance_lasts: "allowance",
    form_fits: "form", input_fits: "input"}


class Decision(Struct, frozen=True):
    """`refusal` is None for an admitted call; `version` is the project version that decided, 0 without a project."""

    refusal: WeirError | None
    version: int

    @property
    def reason(self) -> Reason:
        """The stable reason code."""
        return Reason.OK if self.refusal is None else self.refusal.reason

    @property
    def by(self) -> str:
        """Name of the policy, limit or allowance that has refused; nothing where none of them did."""
        members = {} if self.refusal is None else self.refusal.members
        return str(members.get("policy") or members.get("limit") or members.get("allowance") or "")


def look(case: Case) -> Decision | None:
    """The checks that need no amounts. None: ask the amounts for `case.demands`, if there are any, then `settle`."""
    refusal = _first(BEFORE_AMOUNTS, case)
    if refusal is not None:
        return _decision(case, refusal)
    case.demands = demands_of(case)
    return None


def settle(case: Case) -> Decision:
    """The rest, once `case.outcomes` is there."""
    return _decision(case, _first(AFTER_AMOUNTS, case))


def decide(case: Case, amounts: Amounts | None = None) -> Decision:
    """All checks at once; the first refusal wins. Without `amounts` no limit is spent."""
    decision = look(case)
    if decision is not None:
        return decision
    if amounts is not None:
        spend(case, amounts)
    return settle(case)


def spend(case: Case, amounts: Amounts, request_id: str = "") -> None:
    """Take what the case demands from amounts in memory. `request_id`: of one that came without any."""
    if case.demands:
        # nobody says here when a call has ended: not later than its caller stops to wait, as a rule
        until_ms = case.now_ms + case.answering.wait_ms
        ask = structs.replace(case.ask(case.request.request_id or request_id), until_ms=until_ms)
        case.outcomes = amounts.spend([ask], case.now_ms * 1000)[0]


def _first(checks: Sequence[Check], case: Case) -> WeirError | None:
    lap = case.lap
    for check in checks:
        refusal = check(case)
        if lap is not None:
            lap(CHECK_NAMES[check])
        if refusal is not None:
            return refusal
    return None


def _decision(case: Case, refusal: WeirError | None) -> Decision:
    return Decision(refusal, case.version)
