"""Who may call what, as far as it can be known without a call.

In:    a project version, the roles of its clients.
Out:   a cell per operation and client: yes, no, or on what it depends; and the limits.
Never: a guess: what depends on an address, a header, a time or a body is said to depend on it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.decision import allowances
from shared.decision.book import GuardedOperation, GuardedProject
from shared.project.access.facts import Facts
from shared.project.access.limits import Limit
from shared.project.access.rules import CompiledPolicy
from shared.project.modes import RESULTS

_KNOWN = ("authenticated", "role", "client", "method")
ANYBODY = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """`may`: yes, no or depends. `client` is empty for a caller without credentials."""

    operation: str
    client: str
    may: str
    why: str
    limits: list[str]


def matrix(project: GuardedProject, clients: Mapping[str, frozenset[str]]) -> list[Cell]:
    """All cells, by operation."""
    own = [guarded for guarded in project.operations.values() if guarded.operation is not RESULTS]
    return [_cell(project, guarded, client, roles) for guarded in own
            for client, roles in ((ANYBODY, frozenset[str]()), *sorted(clients.items()))]


def _cell(project: GuardedProject, guarded: GuardedOperation, client: str, roles: frozenset[str]) -> Cell:
    operation = guarded.operation
    facts = Facts(operation=operation.name, method=operation.method, now_ms=0, client=client, roles=roles,
                  authenticated=bool(client))
    if not operation.enabled:
        return Cell(operation.name, client, "no", "the operation is switched off", [])
    if not client and not operation.public:
        return Cell(operation.name, client, "no", "credentials are needed", [])
    unless = []
    for compiled in _enforced(guarded.rejects):
        holds = _known_to_hold(compiled, facts)
        if holds:
            return Cell(operation.name, client, "no", f"policy {compiled.policy.name}", [])
        if holds is None:
            unless.append(f"unless {compiled.policy.name} ({_kinds(compiled)})")
    accepting = [(compiled, _known_to_hold(compiled, facts)) for compiled in _enforced(guarded.accepts)]
    if project.denies and not operation.public:
        if not any(holds is not False for _, holds in accepting):
            return Cell(operation.name, client, "no", "no policy accepts", [])
        if not any(holds for _, holds in accepting):
            unless += [f"if {compiled.policy.name} ({_kinds(compiled)})" for compiled, holds in accepting
                       if holds is None]
    limits = [described(limit.limit) + ("" if holds else f", if {_kinds(compiled)}")
              for compiled, holds in accepting if holds is not False for limit in compiled.limits if limit.enforced]
    limits += [allowances.described(one.allowance) for one in guarded.allowances if one.concerns(client)]
    return Cell(operation.name, client, "depends" if unless else "yes", "; ".join(unless), limits)


def described(limit: Limit) -> str:
    """A limit in words."""
    by = " and ".join(limit.by)
    if limit.concurrent is not None:
        return f"{limit.concurrent} at the same time by {by}"
    how = (f", burst {limit.burst}" if limit.burst else "") + (", evenly" if limit.smooth else "") + (
        f" of the calendar in {limit.calendar}" if limit.calendar else "")
    cost = "" if limit.cost == 1 else f", a call costs {limit.cost}"
    return f"{limit.limit} per {limit.per}{how} by {by}{cost}"


def _enforced(policies: Iterable[CompiledPolicy]) -> list[CompiledPolicy]:
    return [compiled for compiled in policies if compiled.policy.enforced]


def _known_to_hold(compiled: CompiledPolicy, facts: Facts) -> bool | None:
    """None when that depends on the call."""
    if any(rule.kind in _KNOWN and not rule.holds(facts) for rule in compiled.rules):
        return False
    return None if any(rule.kind not in _KNOWN for rule in compiled.rules) else True


def _kinds(compiled: CompiledPolicy) -> str:
    return ", ".join(dict.fromkeys(rule.kind for rule in compiled.rules if rule.kind not in _KNOWN))
