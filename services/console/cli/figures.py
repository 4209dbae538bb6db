"""What metrics say of a cluster between two looks. Pure.

In:    metrics as the processes tell them, twice.
Out:   rates, quantiles, what waits.
Never: a metric whose name is not in `names/metrics.py`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from shared.names import metrics as M

Labels = tuple[tuple[str, str], ...]
Row = dict[str, Any]
Whose = tuple[str, str]
_MOST_OF = 0.99
HOPS = ("ingress", "policy", "executor")


@dataclass(frozen=True, slots=True)
class Reading:
    """One process at one time: sample name -> labels -> value."""

    at_s: float
    samples: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, at_s: float) -> "Reading":
        """From Prometheus text."""
        samples: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
        return cls(at_s, samples)

    def values(self, name: str) -> Iterable[float]:
        """Of all series of one name."""
        return self.samples.get(name, {}).values()


@dataclass(frozen=True, slots=True)
class Span:
    """Some processes, looked at twice; those that were started in between have counted from zero."""

    pairs: Sequence[tuple[Reading, Reading]]

    @property
    def seconds(self) -> float:
        """Between the two."""
        return max((after.at_s - before.at_s for before, after in self.pairs), default=0.0)

    def grown(self, name: str) -> dict[Labels, float]:
        """By how much each series has grown."""
        found: dict[Labels, float] = {}
        for before, after in self.pairs:
            old = before.samples.get(name, {})
            for labels, value in after.samples.get(name, {}).items():
                grown = value - old.get(labels, 0.0)
                found[labels] = found.get(labels, 0.0) + (grown if grown >= 0 else value)
        return found

    def rate(self, name: str, **wanted: str) -> float:
        """A second, over the series with these labels."""
        grown = sum(value for labels, value in self.grown(name).items() if wanted.items() <= dict(labels).items())
        return grown / self.seconds if self.seconds else 0.0

    def quantile(self, family: M.Family, share: float, **wanted: str) -> float | None:
        """Seconds, as Prometheus reckons them from the buckets; None when nothing was seen."""
        buckets: dict[float, float] = {}
        for labels, value in self.grown(f"{family.name}_bucket").items():
            said = dict(labels)
            if wanted.items() <= said.items():
                upper = float(said["le"])
                buckets[upper] = buckets.get(upper, 0.0) + value
        return quantile(buckets, share)


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """`buckets`: upper bound -> how many were at most that."""
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    rank, lower, below = buckets[bounds[-1]] * share, 0.0, 0.0
    for upper in bounds:
        if buckets[upper] >= rank:
            if math.isinf(upper):
                return lower
            inside = buckets[upper] - below
            return lower + (upper - lower) * ((rank - below) / inside if inside else 1.0)
        lower, below = upper, buckets[upper]
    return lower


def process_row(before: Reading, after: Reading) -> Row:
    """What one process is, does and has waiting."""
    span, info = Span([(before, after)]), next(iter(after.samples.get(M.BUILD_INFO.name, {})), ())
    answers = span.rate(f"{M.ANSWERS.name}_total")
    return {"version": dict(info).get("version"), "config": _sum([after], M.CONFIG_OFFSET),
            "in_flight": max(_sum([after], M.IN_FLIGHT), _sum([after], M.RECORDS_OPEN)),
            "lag": _sum([after], M.CONSUMER_LAG),
            "oldest_s": round(max(after.values(M.OLDEST_SECONDS.name), default=0.0), 1),
            "per_s": round(answers or span.rate(f"{M.RECORDS_CONSUMED.name}_total"), 1)}


def operation_rows(span: Span) -> list[Row]:
    """By operation, the most called first: rate, errors, times at the edge."""
    # each series is looked at once: of a cluster with many projects there are thousands
    statuses, buckets = dict[Whose, dict[str, float]](), dict[Whose, dict[float, float]]()
    for labels, value in span.grown(f"{M.ANSWERS.name}_total").items():
        said = dict(labels)
        statuses.setdefault(_whose(said), {})[said["status"]] = value
    for labels, value in span.grown(f"{M.REQUEST_SECONDS.name}_bucket").items():
        said = dict(labels)
        buckets.setdefault(_whose(said), {})[float(said["le"])] = value
    rows = []
    for labels, grown in span.grown(f"{M.REQUEST_SECONDS.name}_count").items():
        if grown and span.seconds:
            whose = project, operation = _whose(dict(labels))
            answered = statuses.get(whose, {})
            rows.append({
                "project": project or "-", "operation": operation or "-", "per_s": round(grown / span.seconds, 1),
                "p99_ms": _ms(quantile(buckets.get(whose, {}), _MOST_OF)),
                "4xx_per_s": _share(answered, "4", span), "5xx_per_s": _share(answered, "5", span)})
    return sorted(rows, key=lambda row: -float(row["per_s"]))


def _whose(said: Mapping[str, str]) -> Whose:
    return said["project"], said["operation"]


def hop_rows(by_hop: Mapping[str, Span]) -> list[Row]:
    """By hop: rate, time waited before it and worked in it, what waits now."""
    rows = []
    everything = Span([pair for span in by_hop.values() for pair in span.pairs])
    for hop in HOPS:
        span = by_hop.get(hop, Span(()))
        now = [after for _, after in span.pairs]
        rows.append({
            "hop": hop, "processes": len(now),
            "per_s": round(everything.rate(f"{M.HOP_SECONDS.name}_count", hop=hop, part=M.WORK), 1),
            **_times(everything, M.HOP_SECONDS, "queue_p99_ms", hop=hop, part=M.QUEUE),
            **_times(everything, M.HOP_SECONDS, "work_p99_ms", hop=hop, part=M.WORK),
            **_waiting(now, M.IN_FLIGHT if hop == HOPS[0] else M.RECORDS_OPEN)})
    return rows


def _waiting(now: Sequence[Reading], open_ones: M.Family) -> Row:
    """What there is to do. Where no process tells it, it is not nothing: much may wait."""
    if not now:
        return dict.fromkeys(("in_flight", "lag", "oldest_s"))
    return {"in_flight": _sum(now, open_ones), "lag": _sum(now, M.CONSUMER_LAG),
            "oldest_s": round(max((value for one in now for value in one.values(M.OLDEST_SECONDS.name)), default=0.0),
                              1)}


def _times(span: Span, family: M.Family, name: str, **labels: str) -> Row:
    return {name: _ms(span.quantile(family, _MOST_OF, **labels))}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _share(statuses: Mapping[str, float], first: str, span: Span) -> float:
    return round(sum(value for status, value in statuses.items() if status.startswith(first)) / span.seconds, 1)


def _sum(readings: Sequence[Reading], family: M.Family) -> int:
    return round(sum(sum(one.values(family.name)) for one in readings))
