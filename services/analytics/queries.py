"""Answer usage questions.

In:    a query, counters.
Out:   groups of requests, by the dimensions that were asked for.
Never: a look at more buckets than the bound allows.
"""

from collections.abc import Callable, Collection

from services.analytics.counters import Counters
from services.analytics.measures import row
from services.analytics.ranges import Range, range_of
from services.analytics.rows import Found, Kept, answer_of
from shared.clock import Clock
from shared.contracts.query import UsageQuery
from shared.errors import InputInvalid

# a reply is one record
_MAX_ANSWER = 850_000


class Queries:
    """Reads the counters for whoever asks."""

    def __init__(self, counters: Counters, clock: Clock, projects: Callable[[], Collection[str]],
                 max_buckets: int) -> None:
        """`projects`: names of all there are; `max_buckets` bounds one query."""
        self._counters, self._clock, self._projects, self._max = counters, clock, projects, max_buckets

    async def answer(self, query: UsageQuery) -> bytes:
        """The body of the reply. Raises InputInvalid, StoreUnavailable."""
        now_ms = self._clock.now_ms()
        wanted = range_of(query.since_ms, query.until_ms, now_ms, query.per, self._max)
        found = await self._collect(query, wanted)
        before: Found | None = None
        if query.compare:
            length = wanted.until_ms - wanted.since_ms
            # ends where this one begins, whatever larger buckets it would need for that
            earlier = range_of(max(0, wanted.since_ms - length), wanted.since_ms, now_ms, query.per, self._max)
            before = await self._collect(query, earlier)
        body = answer_of(query, wanted, found, before).to_json()
        if len(body) > _MAX_ANSWER:
            raise InputInvalid(f"the answer has {len(body)} bytes, one record holds {_MAX_ANSWER}; ask for fewer "
                               "groups (`top`, `skip`), or for larger buckets")
        return body

    async def _collect(self, query: UsageQuery, wanted: Range) -> Found:
        result: Found = {}
        for project in sorted(self._projects()) if query.project is None else [query.project]:
            kept = Kept(query, project)
            async for (grain, index), fields in self._counters.read(project, wanted.buckets):
                time = grain.start(index) if query.per is not None else None
                for name, value in fields.items():
                    group = kept[name]
                    if group is not None:
                        result.setdefault((time, group), []).append(row(value))
        return result
