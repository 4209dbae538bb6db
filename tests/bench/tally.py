"""Answers of one load, by status: how many came in the time that is measured, how long they took.

In:    the time that is measured; each answer, and since when it was owed.
Out:   a summary: rate, quantiles in ms, statuses.
Never: a request left out because its answer came late, or never.

Answers count for the rate when they come within the time, and for the quantiles when their request was due within it.
Who waits in vain counts as slow as it has waited so far.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any


class Tally:
    """Times are those of `time.perf_counter`."""

    def __init__(self, begin: float, end: float) -> None:
        """Nothing has come yet."""
        self.begin, self.end = begin, end
        self.total = 0
        self._arrived: Counter[int] = Counter()
        self._took: dict[int, list[float]] = {}

    def note(self, status: int, since: float) -> None:
        """An answer is here."""
        now = time.perf_counter()
        self.total += 1
        if self.begin <= now < self.end:
            self._arrived[status] += 1
        if self.begin <= since < self.end:
            self._took.setdefault(status, []).append(now - since)

    def summary(self, waiting: Iterable[float], now: float) -> dict[str, Any]:
        """`waiting`: since when those wait who have no answer `now`."""
        in_vain = [now - since for since in waiting if self.begin <= since < self.end]
        every = sorted([*in_vain, *(one for found in self._took.values() for one in found)])
        answers = sum(self._arrived.values())
        return {"rps": answers / (self.end - self.begin), "answers": answers, "total": self.total,
                "statuses": dict(self._arrived), "unanswered": len(in_vain), **quantiles(every),
                "of": {status: {"count": len(found), **quantiles(sorted(found))}
                       for status, found in self._took.items()}}


def quantiles(ordered: Sequence[float]) -> dict[str, float]:
    """Of sorted seconds, in ms."""
    return {"p50": at(ordered, 0.50) * 1000, "p99": at(ordered, 0.99) * 1000}


def at(ordered: Sequence[float], share: float) -> float:
    """A quantile of sorted values."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")
