"""Allowances, compiled.

In:    an `Allowance`; then a client, an operation, a time, and what an operator has changed.
Out:   `Grant`: the amount that a call spends from, where it is counted, for how long.
Never: what is spent: analytics counts it, policy reads it.

Both do so under the key that is made here: a hash per allowance and period, a field per subject.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import orjson
from msgspec import Struct

from shared.contracts.config import Adjustment
from shared.project.access.budgets import Demand, Kind
from shared.project.allowance import Allowance
from shared.project.model import Project
from shared.project.periods import Calendar

# in an adjustment: every subject
EACH = "*"
Lookup = Callable[[str, str], Adjustment | None]


class Grant(Struct, frozen=True):
    """`tasks`: what may be spent from `start` to `end`, beyond what was `forgiven`."""

    allowance: Allowance
    key: str
    subject: str
    start: int
    end: int
    tasks: int
    forgiven: int

    def demand(self, cost: int) -> Demand:
        """What policy asks the amounts; `cost`: the least that the call will spend."""
        return Demand(f"{self.key}|{self.subject}", Kind.ALLOWANCE, self.tasks + self.forgiven,
                      self.allowance.rate or 0, self.end, cost, self.allowance.at_limit != "overage",
                      self.allowance.label)


@dataclass(frozen=True, slots=True)
class CompiledAllowance:
    """`where`: what its keys begin with."""

    allowance: Allowance
    project: str
    where: str
    calendar: Calendar
    days: Calendar

    def concerns(self, client: str) -> bool:
        """Whether it counts what a client spends; the empty name is that of callers without one."""
        clients = self.allowance.clients
        return clients == ("*",) or any(fnmatchcase(client, glob) for glob in clients)

    def key(self, start: int) -> str:
        """The hash of what is spent in the period that begins at `start`."""
        return f"{self.where}{start}"

    def day_key(self, start: int) -> str:
        """The hash of what is spent in the day that begins at `start` in its zone."""
        return f"{self.where}day:{start}"

    def subject(self, client: str, operation: str) -> str:
        """What has an amount of its own, as JSON: no name can make it ambiguous."""
        names = {"client": client, "operation": operation}
        return orjson.dumps([names[side] for side in self.allowance.sides]).decode()

    def grant(self, client: str, operation: str, now_ms: int, adjustment: Adjustment | None) -> Grant:
        """What a call spends from."""
        return self.grant_of(self.subject(client, operation), self.calendar.at(now_ms), adjustment)

    def grant_of(self, subject: str, period: tuple[int, int], adjustment: Adjustment | None) -> Grant:
        """What a subject may spend in a period."""
        start, end = period
        allowance = self.allowance
        tasks, forgiven = allowance.tasks, 0
        if allowance.tasks_of:
            # the client comes first in a subject
            tasks = allowance.tasks_of.get(orjson.loads(subject)[0], tasks)
        if adjustment is not None and adjustment.start == start:
            tasks = max(0, tasks + adjustment.raised.get(EACH, 0) + adjustment.raised.get(subject, 0))
            forgiven = adjustment.forgiven.get(subject, 0)
        return Grant(allowance, self.key(start), subject, start, end, tasks, forgiven)


def compile_allowances(project: Project) -> tuple[CompiledAllowance, ...]:
    """Those of a project, in file order."""
    return tuple(CompiledAllowance(
        # whoever changes what is kept apart, or the period, begins anew
        one, project.name, ":".join(("weir:allowance", project.name, one.label, "-".join((one.per, *one.sides)), "")),
        Calendar(one.per, one.zone), Calendar("day", one.zone)) for one in project.allowance)


def speaking_of(allowances: Sequence[CompiledAllowance], operation: str) -> tuple[CompiledAllowance, ...]:
    """Those that count what an operation spends."""
    return tuple(one for one in allowances if one.allowance.speaks_of(operation))


def described(allowance: Allowance) -> str:
    """An allowance in words."""
    then = {"stop": "then no more", "throttle": f"then {allowance.rate} calls a minute",
            "overage": "then on, as overage"}[allowance.at_limit]
    by = f" by {' and '.join(allowance.by)}" if allowance.by else ""
    return f"{allowance.tasks} tasks per {allowance.per} in {allowance.zone}{by}, {then}"
