"""Past requests, decided twice: by the version in force and by a draft.

In:    request records with the times when they came.
Out:   what would change, by client and reason.
Never: a live amount: each side has its own, and their clock is that of the records.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from shared.contracts.request import RequestRecord
from shared.decision.amounts import Amounts
from shared.decision.book import PolicyBook
from shared.decision.case import Case
from shared.decision.decide import Decision, decide
from shared.names.reasons import Reason

_MAX_SAMPLES = 5
Change = tuple[str, str, str, str, str]


@dataclass(slots=True)
class Replay:
    """`changes` by (what, operation, client, before, after); a few request ids of each."""

    live: PolicyBook
    draft: PolicyBook
    requests: int = 0
    admitted: Counter[str] = field(default_factory=Counter)
    changes: Counter[Change] = field(default_factory=Counter)
    samples: dict[Change, list[str]] = field(default_factory=dict)
    _live_amounts: Amounts = field(default_factory=Amounts)
    _draft_amounts: Amounts = field(default_factory=Amounts)

    def take(self, request: RequestRecord, topic: str, time_ms: int) -> None:
        """Decide one request on both sides; they come in the order of their times."""
        before, client = self._decide(self.live, self._live_amounts, request, topic, time_ms)
        after, new_client = self._decide(self.draft, self._draft_amounts, request, topic, time_ms)
        self.requests += 1
        self.admitted["before"] += before.reason is Reason.OK
        self.admitted["after"] += after.reason is Reason.OK
        was, now = _told(before), _told(after)
        if was == now:
            return
        what = ("newly refused" if before.reason is Reason.OK else "newly admitted" if after.reason is Reason.OK
                else "refused for another reason")
        change = (what, request.operation or "", client or new_client, was, now)
        self.changes[change] += 1
        if request.request_id and len(samples := self.samples.setdefault(change, [])) < _MAX_SAMPLES:
            samples.append(request.request_id)

    @staticmethod
    def _decide(book: PolicyBook, amounts: Amounts, request: RequestRecord, topic: str,
                time_ms: int) -> tuple[Decision, str]:
        case = Case(request=request, topic=topic, book=book, now_ms=time_ms)
        return decide(case, amounts), case.client

    def to_doc(self) -> dict[str, Any]:
        """As JSON; the most frequent change first."""
        return {"requests": self.requests, "admitted_before": self.admitted["before"],
                "admitted_after": self.admitted["after"], "changes": [
                    {"change": change[0], "operation": change[1], "client": change[2], "before": change[3],
                     "after": change[4], "requests": count, "samples": self.samples.get(change, [])}
                    for change, count in self.changes.most_common()]}


def _told(decision: Decision) -> str:
    """Reason, and the policy, limit or allowance that gave it."""
    return f"{decision.reason} ({decision.by})" if decision.by else str(decision.reason)
