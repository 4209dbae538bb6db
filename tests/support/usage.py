"""Usage as tests make it, and a recount that knows nothing of how it is counted."""

import itertools
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from services.analytics import seen
from services.analytics.fold import Folded, Group, Known, Placed, fold
from shared.contracts.usage import Envelope, UsageEvent
from shared.usage.measures import Measures

TIME = 1_700_000_000_000
Totals = dict[Group, tuple[int, int, int, int]]


def event(number: int = 0, **more: Any) -> UsageEvent:
    """A request that the executor ended."""
    return UsageEvent(**{
        "kind": "request", "id": str(number), "time": TIME, "project": "p", "operation": "o", "client": "c",
        "source": "edge", "status": 200, "reason": "ok", "tasks": 1, "bytes_in": 1, "bytes_out": 2,
        "timing": {"policy": 1_000}, "origin": f"t/0/{number}", **more})


def strategy() -> st.SearchStrategy[UsageEvent]:
    """Requests of one minute or another, some of them with a record of their own; deliveries."""
    names = st.sampled_from(["", "a", 'b"|/'])
    return st.builds(
        UsageEvent, kind=st.sampled_from(["request", "request", "delivery"]), id=st.just("i"),
        time=st.integers(TIME, TIME + 200_000), project=names, operation=names, client=names,
        source=st.sampled_from(["edge", "internal"]), status=st.sampled_from([200, 429, 500]), reason=st.just("ok"),
        tasks=st.integers(0, 50), bytes_in=st.integers(0, 999), bytes_out=st.integers(0, 999),
        timing=st.dictionaries(st.sampled_from(["policy", "executor"]), st.integers(0, 10**8)), origin=st.none())


def with_origins(events: Iterable[UsageEvent], every: int = 2) -> list[UsageEvent]:
    """The same events, each `every`th with a record of its own."""
    return [msgspec.structs.replace(one, origin=f"t/{number % 3}/{number * 1_000}")
            if one.kind == "request" and number % every == 0 else one for number, one in enumerate(events)]


def envelopes(events: Sequence[UsageEvent], cuts: Iterable[int], producer: str = "p") -> list[Envelope]:
    """Events split at some places."""
    places = [0, *sorted({cut % (len(events) + 1) for cut in cuts}), len(events)]
    return [Envelope(producer=producer, sequence=number, events=tuple(events[start:end]))
            for number, (start, end) in enumerate(itertools.pairwise(places))]


def recount(events: Iterable[UsageEvent]) -> Totals:
    """Requests, tasks, bytes in and out of distinct events, one after the other."""
    found: dict[Group, Counter[str]] = {}
    for one in events:
        group = (one.project, one.time // 60_000, one.operation, one.client, one.source, one.status, one.reason)
        if one.kind == "request":
            found.setdefault(group, Counter()).update(
                requests=1, tasks=one.tasks, bytes_in=one.bytes_in, bytes_out=one.bytes_out)
    return {group: (sums["requests"], sums["tasks"], sums["bytes_in"], sums["bytes_out"])
            for group, sums in found.items()}


class MemoryLedger:
    """What the ledger's script does, in memory."""

    def __init__(self) -> None:
        self.offsets: dict[int, int] = {}
        self.bits: dict[tuple[str, int], int] = {}
        self.sums: dict[Group, Measures] = {}

    def enter(self, batch: Sequence[Placed], most_sums: int = sys.maxsize) -> Folded:
        """Add a batch, or its first records."""
        known = Known()
        while True:
            folded = fold(batch, known, most_sums)
            stale = {partition: self.offsets[partition] for partition, (first, _) in folded.places.items()
                     if self.offsets.get(partition, -1) >= first}
            if stale:
                known.offsets.update(stale)
                continue
            runs = [run for place, numbers in folded.seen.items() for run in seen.runs(place, numbers)]
            hit = False
            for run in runs:
                both = bytes(byte & self.bits.get((run.key, run.start + at), 0) for at, byte in enumerate(run.bits))
                if any(both):
                    hit = True
                    known.numbers.setdefault(run.place, set()).update(seen.numbers(run, both))
            if hit:
                continue
            for run in runs:
                for at, byte in enumerate(run.bits):
                    place = (run.key, run.start + at)
                    self.bits[place] = self.bits.get(place, 0) | byte
            for group, sum_ in folded.sums.items():
                self.sums.setdefault(group, Measures(slots={})).add(sum_)
            self.offsets.update({partition: last for partition, (_, last) in folded.places.items()})
            return folded

    def totals(self) -> Totals:
        """As `recount` has them."""
        return {group: (sums.requests, sums.tasks, sums.bytes_in, sums.bytes_out)
                for group, sums in self.sums.items() if sums.requests}
