"""The metrics of one process.

In:    the families of `names/metrics.py`.
Out:   `Metrics`, and the Prometheus or OpenMetrics text of it.
Never: a label with unbounded values (request ids, paths, addresses); a cost per request when they are switched off.
"""

import asyncio
import platform
from importlib.metadata import version
from typing import Self

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from shared.names import metrics as M
from shared.names.metrics import Family
from shared.settings.service import ServiceSettings
from shared.telemetry.series import Counts, MutedCounts, MutedTimes, Read, Reading, Times


class Metrics:
    """One registry per process, built in the composition root and handed to whoever counts."""

    def __init__(self, *, muted: bool = False) -> None:
        """All at zero. `muted`: count nothing, tell only what can be looked up."""
        self.registry = CollectorRegistry()
        self._muted = muted
        self._read: dict[str, Read] = {}
        self._folded: dict[tuple[str, ...], int] = {}
        self.answers, self.request_us = self._counts(M.ANSWERS), self._times(M.REQUEST_SECONDS)
        self.requests, self.execution_us = self._counts(M.REQUESTS), self._times(M.EXECUTION_SECONDS)
        self.hop_us, self.send_us = self._times(M.HOP_SECONDS), self._times(M.SEND_SECONDS)
        self.store_us, self.loop_lag_us = self._times(M.STORE_SECONDS), self._times(M.LOOP_LAG_SECONDS)
        self.replies_dropped, self.consumed = self._counts(M.REPLIES_DROPPED), self._counts(M.RECORDS_CONSUMED)
        self.dead, self.expired = self._counts(M.DEAD_LETTERS), self._counts(M.EXPIRED)
        self.observed, self.limits_near = self._counts(M.OBSERVED), self._counts(M.LIMITS_NEAR)
        self.limits_local, self.tasks = self._counts(M.LIMITS_LOCAL), self._counts(M.TASKS)
        self.retries, self.usage_events = self._counts(M.RETRIES), self._counts(M.USAGE_EVENTS)
        self.usage_counted, self.envelopes_repeated = self._counts(M.USAGE_COUNTED), self._counts(M.ENVELOPES_REPEATED)
        self.kafka_errors, self.store_errors = self._counts(M.KAFKA_ERRORS), self._counts(M.STORE_ERRORS)
        self.signals_told = self._counts(M.SIGNALS_TOLD)
        self.findings, self.sightings_passed_over = (
            self._counts(M.FINDINGS), self._counts(M.SIGHTINGS_PASSED_OVER))
        self.sink_events, self.admin_refused = self._counts(M.SINK_EVENTS), self._counts(M.ADMIN_REFUSED)
        self.spans_dropped = self._counts(M.SPANS_DROPPED)
        self.read(M.SERIES_FOLDED, lambda: self._folded)

    @classmethod
    def of(cls, service: str, settings: ServiceSettings) -> Self:
        """The metrics of a service process."""
        metrics = cls(muted=not settings.metrics)
        ProcessCollector(registry=metrics.registry)
        built = (service, settings.instance, version("weir"), platform.python_version())
        metrics.read(M.BUILD_INFO, lambda: {built: 1})
        return metrics

    def read(self, family: Family, reading: Reading) -> None:
        """Look this up when somebody asks: it costs nothing until then."""
        known = self._read.get(family.name)
        if known is None:
            known = self._read[family.name] = Read(family)
            self.registry.register(known)
        known.add(reading)

    def bound(self, name: str, used: Reading, limit: int) -> None:
        """Tell how much of a bound is taken."""
        self.read(M.BOUND_USED, lambda: {(name,): _number(used)})
        self.read(M.BOUND_LIMIT, lambda: {(name,): limit})

    async def told(self, accept: str = "") -> tuple[bytes, str]:
        """The same as `text`, and the event loop goes on meanwhile."""
        for known in self._read.values():
            known.look()
        return await asyncio.to_thread(self.text, accept)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type: OpenMetrics, with exemplars, for those who accept it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _counts(self, family: Family) -> Counts:
        self._folded[family.name,] = 0
        found = (MutedCounts if self._muted else Counts)(family, lambda: self._fold(family))
        self.registry.register(found)
        return found

    def _times(self, family: Family) -> Times:
        self._folded[family.name,] = 0
        found = (MutedTimes if self._muted else Times)(family, lambda: self._fold(family))
        self.registry.register(found)
        return found

    def _fold(self, family: Family) -> None:
        self._folded[family.name,] += 1


def _number(reading: Reading) -> float:
    found = reading()
    assert isinstance(found, int | float)
    return found
