"""Read counters, a little at a time.

In:    buckets.
Out:   their fields, as the store has them.
Never: the store, or this process, held by one large bucket: nobody else would be answered.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from shared.store.redis import Store
from shared.usage.buckets import key
from shared.usage.ranges import Bucket

Fields = Mapping[bytes, bytes]
# a field of each bucket, beside the counters
CHANGES = b"changes"
# buckets asked for at once, of however many projects
AT_ONCE = 100
# fields that one command may return, and one round trip
_LARGE, _SCAN = 2_000, 1_000


class State(NamedTuple):
    """A bucket of a project: how many fields it has, how often it has changed."""

    project: str
    bucket: Bucket
    size: int
    changes: int


class Counters:
    """The counters as whoever asks questions sees them."""

    def __init__(self, store: Store) -> None:
        """Reads when asked."""
        self._store = store

    async def states(self, places: Sequence[tuple[str, Bucket]]) -> list[State]:
        """Those of the buckets of projects that hold something. Raises StoreUnavailable."""
        found: list[State] = []
        for at in range(0, len(places), AT_ONCE):
            part = places[at:at + AT_ONCE]
            keys = [key(project, *bucket) for project, bucket in part]
            told = await self._store.many([command for one in keys for command in (
                ("HLEN", one), ("HGET", one, CHANGES))])
            found.extend(State(*place, size, int(changes or 0)) for place, size, changes in zip(
                part, told[::2], told[1::2], strict=True) if size)
        return found

    async def read(self, states: Sequence[State]) -> AsyncIterator[tuple[State, Fields]]:
        """Fields with their buckets; a large one comes in parts. Raises StoreUnavailable."""
        for part in _together(state for state in states if state.size <= _LARGE):
            for state, fields in zip(part, await self._store.hashes([key(one.project, *one.bucket) for one in part]),
                                     strict=True):
                fields.pop(CHANGES, None)
                yield state, fields
        for state in states:
            if state.size > _LARGE:
                async for some in self._scan(key(state.project, *state.bucket)):
                    yield state, some

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


def _together(states: Iterable[State]) -> Iterator[list[State]]:
    """Buckets that are read in one round trip."""
    part, size = list[State](), 0
    for state in states:
        if part and (len(part) == AT_ONCE or size + state.size > _LARGE):
            yield part
            part, size = [], 0
        part.append(state)
        size += state.size
    if part:
        yield part
