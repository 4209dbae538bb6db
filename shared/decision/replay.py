"""Past requests, decided twice: by the version in force and by a draft.

In:    request records with the times when they came.
Out:   what would change, by client and reason; what cannot be known here, and why.
Never: a live amount: each side has its own, and their clock is that of the records. A call whose proof cannot be
verified here taken for one that nothing changes for.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shared.contracts.request import RequestRecord
from shared.decision.amounts import Amounts
from shared.decision.book import PolicyBook
from shared.decision.case import Case
from shared.decision.decide import Decision, decide
from shared.names.reasons import Reason

_MAX_SAMPLES = 5
Change = tuple[str, str, str, str, str]
Undecidable = tuple[str, str]
Counted = TypeVar("Counted", Change, Undecidable)


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
    _live_amounts: Amounts = field(default_factory=Amounts)
    _draft_amounts: Amounts = field(default_factory=Amounts)

    def take(self, request: RequestRecord, topic: str, time_ms: int) -> None:
        """Decide one request on both sides; they come in the order of their times."""
        was, before = self._decide(self.live, self._live_amounts, request, topic, time_ms)
        new, after = self._decide(self.draft, self._draft_amounts, request, topic, time_ms)
        self.requests += 1
        missing = _missing(was, before) or _missing(new, after)
        if missing:
            self._count(self.undecidable, (was.operation or new.operation, missing), request)
            return
        self.admitted["before"] += before.reason is Reason.OK
        self.admitted["after"] += after.reason is Reason.OK
        if _told(before) == _told(after):
            return
        what = ("newly refused" if before.reason is Reason.OK else "newly admitted" if after.reason is Reason.OK
                else "refused for another reason")
        self._count(self.changes, (what, request.operation or "", was.client or new.client, _told(before),
                                   _told(after)), request)

    def _count(self, counted: Counter[Counted], which: Counted, request: RequestRecord) -> None:
        counted[which] += 1
        if request.request_id and len(samples := self.samples.setdefault(which, [])) < _MAX_SAMPLES:
            samples.append(request.request_id)

    @staticmethod
    def _decide(book: PolicyBook, amounts: Amounts, request: RequestRecord, topic: str,
                time_ms: int) -> tuple[Case, Decision]:
        case = Case(request=request, topic=topic, book=book, now_ms=time_ms)
        return case, decide(case, amounts)

    def to_doc(self) -> dict[str, Any]:
        """As JSON; the most frequent change first. Who is admitted is counted among those that can be decided."""
        return {"requests": self.requests, "admitted_before": self.admitted["before"],
                "admitted_after": self.admitted["after"], "changes": [
                    {"change": change[0], "operation": change[1], "client": change[2], "before": change[3],
                     "after": change[4], "requests": count, "samples": self.samples.get(change, [])}
                    for change, count in self.changes.most_common()], "undecidable": [
                    {"operation": which[0], "why": which[1], "requests": count, "samples": self.samples.get(which, [])}
                    for which, count in self.undecidable.most_common()]}


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
