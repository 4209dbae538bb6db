"""Read counters, a little at a time.

In:    buckets.
Out:   their fields, as the store has them.
Never: the store, or this process, held by one large bucket: nobody else would be answered.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

from services.analytics.buckets import Grain, key
from shared.store.redis import Store

Fields = Mapping[bytes, bytes]
# buckets asked for at once; fields that one command may return
_AT_ONCE, _LARGE, _SCAN = 50, 2_000, 1_000


class Counters:
    """The counters as whoever asks questions sees them."""

    def __init__(self, store: Store) -> None:
        """Reads when asked."""
        self._store = store

    async def read(self, project: str,
                   buckets: Sequence[tuple[Grain, int]]) -> AsyncIterator[tuple[tuple[Grain, int], Fields]]:
        """Fields with their buckets; a large one comes in parts. Raises StoreUnavailable."""
        for at in range(0, len(buckets), _AT_ONCE):
            part = buckets[at:at + _AT_ONCE]
            keys = [key(project, grain, index) for grain, index in part]
            sizes = await self._store.many([("HLEN", name) for name in keys])
            small = [number for number, size in enumerate(sizes) if 0 < size <= _LARGE]
            for number, fields in zip(small, await self._store.hashes([keys[number] for number in small]), strict=True):
                yield part[number], fields
            for number, size in enumerate(sizes):
                if size > _LARGE:
                    async for some in self._scan(keys[number]):
                        yield part[number], some

    async def _scan(self, name: str) -> AsyncIterator[Fields]:
        cursor, seen = 0, set[bytes]()
        while True:
            cursor, found = await self._store.scan_hash(name, cursor, _SCAN)
            # a scan may bring a field twice while the hash grows
            fresh = {field: value for field, value in found.items() if field not in seen}
            seen.update(fresh)
            yield fresh
            if cursor == 0:
                return
