"""Answer usage questions.

In:    a query, counters.
Out:   groups of requests, by the dimensions that were asked for.
Never: a look at more buckets than the bound allows.
"""

from collections.abc import Callable, Collection, Sequence

from shared.clock import Clock
from shared.contracts.query import UsageQuery
from shared.errors import InputInvalid
from shared.usage.buckets import key
from shared.usage.counters import Counters, State
from shared.usage.decoded import Decoded
from shared.usage.measures import Measures
from shared.usage.past import Past, asked_of
from shared.usage.ranges import Range, range_of
from shared.usage.rows import Found, Kept, Wholes, answer_of

# a reply is one record
_MAX_ANSWER = 850_000
_MOST_KEPT = 20


class Queries:
    """Reads the counters for whoever asks."""

    def __init__(self, counters: Counters, clock: Clock, projects: Callable[[], Collection[str]],
                 max_buckets: int) -> None:
        """`projects`: names of all there are; `max_buckets` bounds one query."""
        self._counters, self._clock, self._projects, self._max = counters, clock, projects, max_buckets
        self._past, self._decoded, self._wholes = Past(), Decoded(), Wholes()
        self._kept: dict[tuple[object, ...], Kept] = {}

    async def answer(self, query: UsageQuery) -> bytes:
        """The body of the reply. Raises InputInvalid, StoreUnavailable."""
        now_ms = self._clock.now_ms()
        wanted = range_of(query.since_ms, query.until_ms, now_ms, query.per, self._max)
        found = await self._collect(query, wanted, now_ms)
        before: Found | None = None
        if query.compare:
            length = wanted.until_ms - wanted.since_ms
            # ends where this one begins, whatever larger buckets it would need for that
            earlier = range_of(max(0, wanted.since_ms - length), wanted.since_ms, now_ms, query.per, self._max)
            before = await self._collect(query, earlier, now_ms)
        body = answer_of(query, wanted, found, before, self._wholes).to_json()
        if len(body) > _MAX_ANSWER:
            raise InputInvalid(f"the answer has {len(body)} bytes, one record holds {_MAX_ANSWER}; ask for fewer "
                               "groups (`top`, `skip`), or for larger buckets")
        return body

    async def _collect(self, query: UsageQuery, wanted: Range, now_ms: int) -> Found:
        result: Found = {}
        for project in sorted(self._projects()) if query.project is None else [query.project]:
            kept, past, present = self._kept_of(query, project), list[State](), list[State]()
            for state in await self._counters.states(project, wanted.buckets):
                grain, index = state.bucket
                (past if grain.start(index + 1) <= now_ms else present).append(state)
            told = self._past.told(query, project, past)
            if told is None:
                found = await self._read(query, kept, past)
                told = {place: Measures.of(rows).row() for place, rows in found.items()}
                self._past.keep(query, project, past, told)
            for place, row_ in told.items():
                result.setdefault(place, []).append(row_)
            for place, rows in (await self._read(query, kept, present)).items():
                result.setdefault(place, []).extend(rows)
        return result

    def _kept_of(self, query: UsageQuery, project: str) -> Kept:
        """Of the last few questions: which fields they ask for."""
        asked = asked_of(query, project)
        kept = self._kept.pop(asked, None)
        if kept is None:
            kept = Kept(query, project)
        self._kept[asked] = kept
        if len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return kept

    async def _read(self, query: UsageQuery, kept: Kept, states: Sequence[State]) -> Found:
        found: Found = {}
        async for (grain, index), fields in self._counters.read(kept.project, states):
            time = grain.start(index) if query.per is not None else None
            for name, row in self._decoded.rows(key(kept.project, grain, index), fields):
                group = kept[name]
                if group is not None:
                    found.setdefault((time, group), []).append(row)
        return found
