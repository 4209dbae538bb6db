"""Read counters, a little at a time.

In:    buckets.
Out:   their fields, as the store has them.
Never: the store, or this process, held by one large bucket: nobody else would be answered.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from shared.store.redis import Store
from shared.usage.buckets import key
from shared.usage.ranges import Bucket

Fields = Mapping[bytes, bytes]
# a field of each bucket, beside the counters
CHANGES = b"changes"
# buckets asked for at once; fields that one command may return
_AT_ONCE, _LARGE, _SCAN = 50, 2_000, 1_000


class State(NamedTuple):
    """A bucket: how many fields it has, how often it has changed."""

    bucket: Bucket
    size: int
    changes: int


class Counters:
    """The counters as whoever asks questions sees them."""

    def __init__(self, store: Store) -> None:
        """Reads when asked."""
        self._store = store

    async def states(self, project: str, buckets: Sequence[Bucket]) -> list[State]:
        """Those of the buckets that hold something. Raises StoreUnavailable."""
        found: list[State] = []
        for at in range(0, len(buckets), _AT_ONCE):
            part = buckets[at:at + _AT_ONCE]
            told = await self._store.many([command for grain, index in part for command in (
                ("HLEN", key(project, grain, index)), ("HGET", key(project, grain, index), CHANGES))])
            found.extend(State(bucket, size, int(changes or 0)) for bucket, size, changes in zip(
                part, told[::2], told[1::2], strict=True) if size)
        return found

    async def read(self, project: str, states: Sequence[State]) -> AsyncIterator[tuple[Bucket, Fields]]:
        """Fields with their buckets; a large one comes in parts. Raises StoreUnavailable."""
        small = [state.bucket for state in states if state.size <= _LARGE]
        for at in range(0, len(small), _AT_ONCE):
            part = small[at:at + _AT_ONCE]
            for bucket, fields in zip(part, await self._store.hashes([key(project, *one) for one in part]),
                                      strict=True):
                fields.pop(CHANGES, None)
                yield bucket, fields
        for state in states:
            if state.size > _LARGE:
                async for some in self._scan(key(project, *state.bucket)):
                    yield state.bucket, some

    async def _scan(self, name: str) -> AsyncIterator[Fields]:
        cursor, seen = 0, {CHANGES}
        while True:
            cursor, found = await self._store.scan_hash(name, cursor, _SCAN)
            # a scan may bring a field twice while the hash grows
            fresh = {field: value for field, value in found.items() if field not in seen}
            seen.update(fresh)
            yield fresh
            if cursor == 0:
                return
