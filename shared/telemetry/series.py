"""Counts and times of one metric, by labels: plain numbers, for they stand in the way of every request.

In:    increments, durations in microseconds.
Out:   `Counts`, `Times`, `Read`: what the Prometheus client collects when somebody asks.
Never: a lock or a look-up beyond one dictionary; more series than the bound, and one for each status or reason of all
       others, whatever callers send.

Counting and looking up happen in the event loop. What is counted is written out in a thread, for a thousand series take
a tenth of a second: it works on copies that are made at once.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from shared.names.metrics import Family

MAX_SERIES = 1_000
OTHER = "other"
# labels with few values that we choose, and on which alerts stand: of a failure that is the first one of its operation
# nobody would hear if it were no failure any more
_KEPT = frozenset(("status", "reason"))
BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BOUNDS_US = tuple(int(bound * 1e6) for bound in BOUNDS_S)
_LE = (*(str(bound) for bound in BOUNDS_S), "+Inf")
Labels = tuple[str, ...]
Fold = Callable[[], None]
Reading = Callable[[], float | Mapping[Labels, float]]


def _fold(family: Family, labels: Labels) -> Labels:
    return tuple([given if name in _KEPT else OTHER for name, given in zip(family.labels, labels, strict=True)])


class Counts(Collector):
    """A counter."""

    def __init__(self, family: Family, folded: Fold) -> None:
        """`folded` hears of each count that found no room for a series of its own."""
        self._family, self._folded = family, folded
        self._counts: dict[Labels, int] = {} if family.labels else {(): 0}

    def inc(self, *labels: str, by: int = 1) -> None:
        """Count."""
        counts = self._counts
        if labels in counts:
            counts[labels] += by
        else:
            self._first(labels, by)

    def _first(self, labels: Labels, by: int) -> None:
        if len(labels) != len(self._family.labels):
            raise ValueError(f"{self._family.name} has the labels {self._family.labels}, not {labels}")
        if len(self._counts) >= MAX_SERIES:
            labels = _fold(self._family, labels)
            self._folded()
        self._counts[labels] = self._counts.get(labels, 0) + by

    def collect(self) -> Iterator[Metric]:
        """What the Prometheus client shows."""
        found = CounterMetricFamily(self._family.name, self._family.help, labels=self._family.labels)
        for labels, count in list(self._counts.items()):
            found.add_metric(labels, count)
        yield found


class _Series:
    """One histogram. `traces`: bucket -> trace id and seconds of the last request there that has a trace."""

    __slots__ = ("buckets", "total_us", "traces")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_BOUNDS_US) + 1)
        self.total_us = 0
        self.traces: dict[int, tuple[str, float]] = {}


class Times(Collector):
    """A histogram of durations."""

    def __init__(self, family: Family, folded: Fold) -> None:
        """`folded` hears of each duration that found no room for a series of its own."""
        self._family, self._folded = family, folded
        self._series: dict[Labels, _Series] = {} if family.labels else {(): _Series()}

    def add(self, took_us: int, *labels: str, trace_id: str | None = None) -> None:
        """Note a duration; `trace_id`, of a request that has a trace, becomes an exemplar."""
        series = self._series.get(labels) or self._first(labels)
        bucket = bisect_left(_BOUNDS_US, took_us)
        series.buckets[bucket] += 1
        series.total_us += took_us
        if trace_id is not None:
            series.traces[bucket] = (trace_id, took_us / 1e6)

    def _first(self, labels: Labels) -> _Series:
        if len(labels) != len(self._family.labels):
            raise ValueError(f"{self._family.name} has the labels {self._family.labels}, not {labels}")
        if len(self._series) >= MAX_SERIES:
            labels = _fold(self._family, labels)
            self._folded()
        return self._series.setdefault(labels, _Series())

    def collect(self) -> Iterator[Metric]:
        """What the Prometheus client shows."""
        found = HistogramMetricFamily(self._family.name, self._family.help, labels=self._family.labels)
        for labels, series in list(self._series.items()):
            count, buckets = 0, list[tuple[str, float] | tuple[str, float, Exemplar]]()
            traces = dict(series.traces)
            for number, (bound, more) in enumerate(zip(_LE, series.buckets[:], strict=True)):
                count += more
                known = traces.get(number)
                buckets.append((bound, count) if known is None
                               else (bound, count, Exemplar({"trace_id": known[0]}, known[1])))
            found.add_metric(labels, buckets, series.total_us / 1e6)
        yield found


class MutedCounts(Counts):
    """Counts nothing."""

    def inc(self, *labels: str, by: int = 1) -> None:
        """Nothing."""


class MutedTimes(Times):
    """Notes nothing."""

    def add(self, took_us: int, *labels: str, trace_id: str | None = None) -> None:
        """Nothing."""


class Read(Collector):
    """A metric that is looked up when somebody asks, from one or several places."""

    def __init__(self, family: Family) -> None:
        """No place yet."""
        self._family = family
        self._readings: list[Reading] = []
        self._told: dict[Labels, float] | None = None

    def add(self, reading: Reading) -> None:
        """One more place: a number, or numbers by labels. Of two that tell the same series the sum is shown."""
        self._readings.append(reading)

    def look(self) -> None:
        """Look it up now, for what is shown next."""
        self._told = {}
        for reading in self._readings:
            told = reading()
            for labels, value in (told if isinstance(told, Mapping) else {(): told}).items():
                self._told[labels] = self._told.get(labels, 0) + value

    def collect(self) -> Iterator[Metric]:
        """What the Prometheus client shows."""
        if self._told is None:
            self.look()
        sums, self._told = self._told or {}, None
        kind = CounterMetricFamily if self._family.kind == "counter" else GaugeMetricFamily
        found = kind(self._family.name, self._family.help, labels=self._family.labels)
        for labels, value in sums.items():
            found.add_metric(labels, value)
        yield found
