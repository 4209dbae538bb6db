"""Admit or refuse one call.

In:    a `Case`.
Out:   `Decision`: the first refusal in the order of `CHECKS`, or none.
Never: I/O, a clock, logging.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.decision.case import Case
from shared.decision.checks.deadline import there_is_time
from shared.decision.checks.input import input_fits
from shared.decision.checks.policies import policies_let_in
from shared.decision.checks.route import operation_is_open
from shared.decision.checks.token import token_is_known
from shared.errors import WeirError
from shared.names.reasons import Reason

CHECKS: tuple[Callable[[Case], WeirError | None], ...] = (
    there_is_time, operation_is_open, token_is_known, policies_let_in, input_fits)


@dataclass(frozen=True, slots=True)
class Decision:
    """`refusal` is None for an admitted call; `version` is the project version that decided, 0 without a project."""

    refusal: WeirError | None
    version: int

    @property
    def reason(self) -> Reason:
        """The stable reason code."""
        return Reason.OK if self.refusal is None else self.refusal.reason


def decide(case: Case) -> Decision:
    """The first refusal wins; the order is part of the public contract."""
    refusal = None
    for check in CHECKS:
        refusal = check(case)
        if refusal is not None:
            break
    return Decision(refusal, case.project.version if case.project is not None else 0)
