"""Who may call what, as far as it can be known without a call.

In:    a project version, the roles of its clients.
Out:   a cell per operation and client, and per operation and issuer of tokens: yes, no, or on what it depends; and the
limits.
Never: a guess: what depends on an address, a header, a time or a body is said to depend on it, and so is what depends
on the name and roles that a token of an issuer gives its caller.
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
_KNOWN_OF_TOKENS = ("authenticated", "method")
ANYBODY = ""
ANY_OF_ISSUER = "*"
_ALL = ("*",)


@dataclass(frozen=True, slots=True)
class Cell:
    """`may`: yes, no or depends. `client`: empty for a caller without credentials, `*` for whomever `issuer` names."""

    operation: str
    client: str
    may: str
    why: str
    limits: list[str]
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class _Caller:
    """`known`: the kinds of rules whose outcome is clear from what is known of it."""

    client: str
    roles: frozenset[str] = frozenset()
    issuer: str = ""
    known: tuple[str, ...] = _KNOWN


def matrix(project: GuardedProject, clients: Mapping[str, frozenset[str]]) -> list[Cell]:
    """All cells, by operation."""
    named = [_Caller(ANYBODY), *(_Caller(client, roles) for client, roles in sorted(clients.items()))]
    by_token = [_Caller(ANY_OF_ISSUER, issuer=scheme.issuer, known=_KNOWN_OF_TOKENS)
                for scheme in project.authentication.jwt]
    return [_cell(project, guarded, caller) for guarded in project.operations.values()
            if guarded.operation is not RESULTS
            for caller in (*named, *(by_token if "jwt" in guarded.kinds else ()))]


def _cell(project: GuardedProject, guarded: GuardedOperation, caller: _Caller) -> Cell:
    may, why, limits = _outlook(project, guarded, caller)
    return Cell(guarded.operation.name, caller.client, may, why, limits, caller.issuer)


def _outlook(project: GuardedProject, guarded: GuardedOperation, caller: _Caller) -> tuple[str, str, list[str]]:
    operation = guarded.operation
    facts = Facts(operation=operation.name, method=operation.method, now_ms=0, client=caller.client,
                  roles=caller.roles, authenticated=bool(caller.client))
    if not operation.enabled:
        return "no", "the operation is switched off", []
    if not caller.client and not operation.public:
        return "no", "credentials are needed", []
    unless = []
    if not operation.public and not _can_prove(project, guarded, caller):
        kinds = ", ".join(sorted(guarded.kinds))
        unless.append(f"on the internal topic alone, for it has no proof that is taken ({kinds})")
    for compiled in _enforced(guarded.rejects):
        holds = _known_to_hold(compiled, facts, caller.known)
        if holds:
            return "no", f"policy {compiled.policy.name}", []
        if holds is None:
            unless.append(f"unless {compiled.policy.name} ({_kinds(compiled, caller.known)})")
    accepting = [(compiled, _known_to_hold(compiled, facts, caller.known)) for compiled in _enforced(guarded.accepts)]
    if project.denies and not operation.public:
        if not any(holds is not False for _, holds in accepting):
            return "no", "no policy accepts", []
        if not any(holds for _, holds in accepting):
            unless += [f"if {compiled.policy.name} ({_kinds(compiled, caller.known)})" for compiled, holds in accepting
                       if holds is None]
    limits = [described(limit.limit) + ("" if holds else f", if {_kinds(compiled, caller.known)}")
              for compiled, holds in accepting if holds is not False for limit in compiled.limits if limit.enforced]
    return "depends" if unless else "yes", "; ".join(unless), limits + _allowances(guarded, caller)


def _can_prove(project: GuardedProject, guarded: GuardedOperation, caller: _Caller) -> bool:
    """Signed messages and certificates are of the clients that the project names; the other kinds may be of any."""
    proofs, kinds = project.authentication, guarded.kinds
    return (not kinds <= {"signature", "certificate"}
            or ("signature" in kinds and any(scheme.client == caller.client for scheme in proofs.signature))
            or ("certificate" in kinds and caller.client in proofs.certificate.values()))


def _allowances(guarded: GuardedOperation, caller: _Caller) -> list[str]:
    if not caller.issuer:
        return [allowances.described(one.allowance) for one in guarded.allowances if one.concerns(caller.client)]
    return [allowances.described(allowance) + ("" if allowance.clients == _ALL else ", if client")
            for allowance in (one.allowance for one in guarded.allowances)]


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


def _known_to_hold(compiled: CompiledPolicy, facts: Facts, known: tuple[str, ...]) -> bool | None:
    """None when that depends on the call."""
    if any(rule.kind in known and not rule.holds(facts) for rule in compiled.rules):
        return False
    return None if any(rule.kind not in known for rule in compiled.rules) else True


def _kinds(compiled: CompiledPolicy, known: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(rule.kind for rule in compiled.rules if rule.kind not in known))
