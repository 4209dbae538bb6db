"""Answer usage questions.

In:    a query, counters.
Out:   groups of requests, by the dimensions that were asked for.
Never: a look at more buckets than the bound allows.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import groupby
from operator import attrgetter

from shared.clock import Clock
from shared.contracts.query import UsageQuery
from shared.errors import InputInvalid
from shared.usage.buckets import key
from shared.usage.counters import AT_ONCE, Counters, State
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
        names = sorted(self._projects()) if query.project is None else [query.project]
        # several projects share a round trip where each has few buckets
        step = max(1, AT_ONCE // max(1, len(wanted.buckets)))
        for at in range(0, len(names), step):
            states = await self._counters.states(
                [(project, bucket) for project in names[at:at + step] for bucket in wanted.buckets])
            for place, rows in (await self._read_all(query, states, now_ms)).items():
                result.setdefault(place, []).extend(rows)
        return result

    async def _read_all(self, query: UsageQuery, states: Sequence[State], now_ms: int) -> Found:
        """Of a few projects: what is known of their past, and what has to be read for the rest."""
        result, unknown, to_read = Found(), dict[str, list[State]](), list[State]()
        for project, found in groupby(states, attrgetter("project")):
            past, present = list[State](), list[State]()
            for state in found:
                grain, index = state.bucket
                (past if grain.start(index + 1) <= now_ms else present).append(state)
            told = self._past.told(query, project, past)
            if told is None:
                unknown[project] = past
                to_read += past
            else:
                for place, row_ in told.items():
                    result.setdefault(place, []).append(row_)
            to_read += present
        made, rest = await self._read(query, to_read, now_ms)
        for project, past in unknown.items():
            sums = {place: Measures.of(rows).row() for place, rows in made.get(project, {}).items()}
            self._past.keep(query, project, past, sums)
            for place, row_ in sums.items():
                result.setdefault(place, []).append(row_)
        for place, rows in rest.items():
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

    async def _read(self, query: UsageQuery, states: Sequence[State], now_ms: int) -> tuple[dict[str, Found], Found]:
        """What was found of the past, by project, and of the present."""
        past, present, kept = dict[str, Found](), Found(), dict[str, Kept]()
        async for state, fields in self._counters.read(states):
            grain, index = state.bucket
            if state.project not in kept:
                kept[state.project] = self._kept_of(query, state.project)
            into = past.setdefault(state.project, {}) if grain.start(index + 1) <= now_ms else present
            groups, time = kept[state.project], grain.start(index) if query.per is not None else None
            for name, row in self._decoded.rows(key(state.project, grain, index), fields):
                group = groups[name]
                if group is not None:
                    into.setdefault((time, group), []).append(row)
        return past, present
