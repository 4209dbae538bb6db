"""Count a range again from the topic, beside the counters of the same moment.

In:    a query, counters and offsets read in one transaction, `weir.usage`.
Out:   a `Verification`.
Never: more envelopes than the bound allows; this process held for long: counting goes on meanwhile.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from services.analytics import recount, stream
from services.analytics.ledger import OFFSETS, pairs
from services.analytics.recount import Place, Recount, Sums
from services.analytics.screen import Screen
from shared.clock import Clock
from shared.contracts.query import UsageQuery, Verification
from shared.contracts.usage import Envelope
from shared.errors import BadRecord, InputInvalid, TimedOut
from shared.kafka.span import SpanReader
from shared.names import topics
from shared.settings.kafka import KafkaSettings
from shared.store.redis import Store
from shared.usage.buckets import HOUR_MS, key
from shared.usage.counters import CHANGES
from shared.usage.dimensions import read_field
from shared.usage.measures import stored
from shared.usage.ranges import Range, range_of

# a request that is delivered again ends the second time within so long after the first
_BEFORE_MS = HOUR_MS
# control waits no longer for its answer
_PATIENCE_S = 300.0


class Verifier:
    """Verifications, one after the other."""

    def __init__(self, kafka: KafkaSettings, store: Store, clock: Clock, screen: Screen,
                 projects: Callable[[], Collection[str]]) -> None:
        """`projects`: names of all there are."""
        self._kafka, self._store, self._clock, self._screen, self._projects = kafka, store, clock, screen, projects
        self._lock = asyncio.Lock()

    async def verify(self, query: UsageQuery, max_buckets: int, max_envelopes: int) -> Verification:
        """Compare. Raises InputInvalid, StoreUnavailable, KafkaUnavailable, TimedOut."""
        wanted = range_of(query.since_ms, query.until_ms, self._clock.now_ms(), None, max_buckets)
        reader = SpanReader(self._kafka, topics.USAGE)
        try:
            # else those whose askers have gone would be worked off, one by one, before anybody's who waits
            async with asyncio.timeout(_PATIENCE_S):
                await self._lock.acquire()
        except TimeoutError:
            raise TimedOut(f"other verifications have taken {_PATIENCE_S:.0f} s; ask again later, or for a shorter "
                           "range") from None
        try:
            gaps = await stream.gaps(self._store)
            await reader.start()
            try:
                return await self._compare(query, wanted, reader, max_envelopes, gaps)
            finally:
                await reader.stop()
        finally:
            self._lock.release()

    async def _compare(self, query: UsageQuery, wanted: Range, reader: SpanReader, max_envelopes: int,
                       gaps: Mapping[bytes, int]) -> Verification:
        names = sorted(self._projects()) if query.project is None else [query.project]
        offsets, counted = await self._snapshot(names, wanted)
        first, starts = await reader.starts(), await reader.at(max(0, wanted.since_ms - _BEFORE_MS))
        # a topic that was made anew has not come so far
        ends = {partition: min(offsets.get(partition, -1) + 1, end)
                for partition, end in (await reader.ends()).items()}
        many = sum(max(0, ends[partition] - start) for partition, start in starts.items())
        if many > max_envelopes:
            raise InputInvalid(f"the topic holds {many} envelopes for this range; {max_envelopes} are counted again at "
                               "most (WEIR_ANALYTICS_MAX_VERIFY_ENVELOPES)")
        again = Recount(wanted.buckets)
        first_ms = await self._read(reader, starts, ends, again.take)
        found = _of(query.project, again)
        difference, shown = recount.differences(counted, found, {})
        if difference and again.again:
            await self._read(reader, starts, ends, again.recall)
            difference, shown = recount.differences(counted, found, again.leeway())
        cut = any(starts[partition] == first[partition] > 0 for partition in starts)
        return Verification(
            since_ms=wanted.since_ms, until_ms=wanted.until_ms, counted=recount.totals(counted.values()),
            recounted=recount.totals(found.values()), difference=difference, differences=shown,
            events_read=again.events, repeated_events=again.repeated, repeated_requests=len(again.again),
            first_ms=first_ms if cut else None, stream=await stream.report(self._store, gaps))

    async def _snapshot(self, names: list[str], wanted: Range) -> tuple[dict[int, int], dict[Place, Sums]]:
        """Offsets, and the counters that belong to them."""
        places = [(project, bucket) for project in names for bucket in wanted.buckets]
        offsets, *hashes = await self._store.many(
            [("HGETALL", OFFSETS), *(("HGETALL", key(project, *bucket)) for project, bucket in places)], atomic=True)
        counted = {Place(project, bucket, read_field(name)): recount.as_sums(stored(value))
                   for (project, bucket), fields in zip(places, hashes, strict=True)
                   for name, value in pairs(fields) if name != CHANGES}
        return {int(partition): int(offset) for partition, offset in pairs(offsets)}, counted

    async def _read(self, reader: SpanReader, starts: Mapping[int, int], ends: Mapping[int, int],
                    take: Callable[[Envelope], None]) -> int | None:
        """When the first record that was read came."""
        first_ms: int | None = None
        async for records in reader.read(starts, ends):
            for record in sorted(records, key=_came):
                first_ms = record.timestamp if first_ms is None else min(first_ms, record.timestamp)
                try:
                    take(self._screen.read(record))
                except BadRecord:
                    # analytics has put it aside as well
                    continue
            await asyncio.sleep(0)
        return first_ms


def _of(project: str | None, again: Recount) -> dict[Place, Sums]:
    return {place: sums for place, sums in again.found.items() if project is None or place.project == project}


def _came(record: Any) -> int:
    return int(record.timestamp)
