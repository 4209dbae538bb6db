"""Past requests, decided twice: by the version in force and by a draft.

In:    request records with the times when they came.
Out:   what would change, by client and reason; what cannot be known here, and why.
Never: a live amount: each side has its own, and their clock is that of the records. A call whose proof cannot be
verified here taken for one that nothing changes for; one refused for others that may have ended before it came.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec import structs

from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.request import RequestRecord
from shared.decision.amounts import Amounts
from shared.decision.book import PolicyBook
from shared.decision.case import Case
from shared.decision.checks.idempotency import may_run
from shared.decision.decide import Decision, look, settle, spend
from shared.names import topics
from shared.names.reasons import Reason
from shared.project.access.budgets import Demand, Kind
from shared.project.modes import RESULTS
from shared.project.routes import Match

_MAX_SAMPLES = 5
Change = tuple[str, str, str, str, str]
Undecidable = tuple[str, str]
Counted = TypeVar("Counted", Change, Undecidable)


@dataclass(slots=True)
class _Side:
    """One version. `calls`: so many have met its limits. `kept`: the digest of what was asked first and until when.

    By idempotency key; times in unix ms.
    """

    book: PolicyBook
    amounts: Amounts = field(default_factory=Amounts)
    kept: dict[str, tuple[str, int]] = field(default_factory=dict)
    calls: int = 0

    def decide(self, request: RequestRecord, topic: str, time_ms: int) -> tuple[Case, Decision, str]:
        """`str`: the `concurrent` limit that might refuse it where nothing else does, as far as anybody knows here."""
        case = Case(request=self._led(request, topic), topic=topic, book=self.book, now_ms=time_ms, past=True)
        decision = look(case) or self._again(case)
        if decision is not None:
            return case, decision, ""
        asked = case.demands
        case.demands = [_passable(demand) for demand in asked]
        self.calls += 1
        # policy names calls from inside that have no id; here they must not pass for one that comes again
        request_id = request.request_id or f"call {self.calls}"
        spend(case, self.amounts, request_id)
        decision = settle(case)
        if decision.refusal is not None or (case.guarded is not None and case.guarded.operation is RESULTS):
            # policy ends it, and gives back what it has taken; how one ends that runs nobody knows here
            once = [case.once_taken] if decision.refusal is not None and case.once_taken else []
            self.amounts.release(request_id, [*case.holds, *once])
            return case, decision, ""
        if case.claim is not None:
            self.kept[case.claim.key] = case.claim.digest, time_ms + case.claim.keep_ms
        return case, decision, next((
            demand.name for demand, outcome in zip(asked, case.outcomes, strict=False)
            if demand.kind is Kind.CONCURRENT and demand.enforced and outcome.wait_ms), "")

    def _led(self, request: RequestRecord, topic: str) -> RequestRecord:
        """What came by HTTP, with the operation that this version has at its path: the edge has asked another one."""
        http, project = request.http, self.book.project(request.project)
        if topic != topics.REQUESTS_EDGE or http is None or project is None:
            return request
        found = project.routes.match(http.method, http.path)
        if isinstance(found, Match):
            return structs.replace(request, operation=found.operation.name, params=dict(found.params))
        return structs.replace(request, operation=None, params={}, method=http.method, path=http.path)

    def _again(self, case: Case) -> Decision | None:
        """A call that was asked before gets the first answer, and spends nothing."""
        digest, until_ms = ("", 0) if case.claim is None else self.kept.get(case.claim.key, ("", 0))
        if until_ms <= case.now_ms:
            return None
        return Decision(may_run(case, "", KeptAnswer(request_id="", digest=digest, status=200)), case.version)


@dataclass(slots=True)
class Replay:
    """`changes` by (what, operation, client, before, after), `undecidable` by (operation, why); a few ids of each."""

    live: PolicyBook
    draft: PolicyBook
    requests: int = 0
    admitted: Counter[str] = field(default_factory=Counter)
    changes: Counter[Change] = field(default_factory=Counter)
    undecidable: Counter[Undecidable] = field(default_factory=Counter)
    samples: dict[Change | Undecidable, list[str]] = field(default_factory=dict)
    _before: _Side = field(init=False)
    _after: _Side = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is spent on either side."""
        self._before, self._after = _Side(self.live), _Side(self.draft)

    def take(self, request: RequestRecord, topic: str, time_ms: int) -> None:
        """Decide one request on both sides; they come in the order of their times."""
        was, before, crowded = self._before.decide(request, topic, time_ms)
        new, after, crowds = self._after.decide(request, topic, time_ms)
        self.requests += 1
        operation = was.operation or new.operation or request.operation or ""
        missing = _missing(was, before) or _missing(new, after)
        if not missing and crowded != crowds:
            missing = f"limit {crowds or crowded!r} goes by how long other calls ran, which is not known"
        if missing:
            self._count(self.undecidable, (operation, missing), request)
            return
        self.admitted["before"] += before.reason is Reason.OK
        self.admitted["after"] += after.reason is Reason.OK
        if _told(before) == _told(after):
            return
        what = ("newly refused" if before.reason is Reason.OK else "newly admitted" if after.reason is Reason.OK
                else "refused for another reason")
        self._count(self.changes, (what, operation, was.client or new.client, _told(before), _told(after)), request)

    def _count(self, counted: Counter[Counted], which: Counted, request: RequestRecord) -> None:
        counted[which] += 1
        if request.request_id and len(samples := self.samples.setdefault(which, [])) < _MAX_SAMPLES:
            samples.append(request.request_id)

    def to_doc(self) -> dict[str, Any]:
        """As JSON; the most frequent change first. Who is admitted is counted among those that can be decided."""
        return {"requests": self.requests, "admitted_before": self.admitted["before"],
                "admitted_after": self.admitted["after"], "changes": [
                    {"change": change[0], "operation": change[1], "client": change[2], "before": change[3],
                     "after": change[4], "requests": count, "samples": self.samples.get(change, [])}
                    for change, count in self.changes.most_common()], "undecidable": [
                    {"operation": which[0], "why": which[1], "requests": count, "samples": self.samples.get(which, [])}
                    for which, count in self.undecidable.most_common()]}


def _passable(demand: Demand) -> Demand:
    """A limit of calls at the same time refuses nobody here: nobody knows when a call has ended."""
    return structs.replace(demand, enforced=False) if demand.kind is Kind.CONCURRENT else demand


def _missing(case: Case, decision: Decision) -> str:
    """Why nobody can say here what policy says: a key or secret is not at hand. Nothing where all of them are."""
    unopened = case.request.sealed is not None and not case.sealed
    unproved = decision.reason is Reason.CREDENTIALS_INVALID and not case.client and (unopened or case.wanted_keys)
    if decision.reason is not Reason.UNAVAILABLE and not unproved:
        return ""
    return f"{decision.refusal} ({case.wanted_keys})" if case.wanted_keys else str(decision.refusal)


def _told(decision: Decision) -> str:
    """Reason, and the policy, limit or allowance that gave it."""
    return f"{decision.reason} ({decision.by})" if decision.by else str(decision.reason)
