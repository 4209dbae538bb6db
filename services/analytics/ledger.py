"""Counters and offsets, changed together.

In:    folded envelopes with their places.
Out:   counters in Redis; what was counted.
Never: an envelope counted twice, or an offset stored without its counts: one script does both.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.analytics import buckets
from services.analytics.fold import Increments, read_field
from shared.store.redis import Store

_OFFSETS = "weir:usage:offsets"
_KEEP = orjson.dumps([grain.keep_s for grain in buckets.GRAINS])
_MEASURES = {"r": "requests", "t": "tasks", "i": "bytes_in", "o": "bytes_out"}


@dataclass(frozen=True, slots=True)
class Entry:
    """What the script said: the offset stored before (-1: none), events counted, events seen before."""

    before: int
    counted: int
    repeated: int


class Ledger:
    """The counters of all projects."""

    def __init__(self, store: Store, seen_hours: int) -> None:
        """`seen_hours`: how long a request record's place is remembered."""
        self._store, self._seen_s = store, seen_hours * 3600

    async def enter(self, partition: int, offset: int, increments: Increments) -> Entry:
        """Add an envelope. Raises StoreUnavailable; then nothing was added, or all was and a repeat adds nothing."""
        answer = await self._store.run("ledger", [_OFFSETS], [str(partition), offset, increments.to_json(), _KEEP,
                                                              self._seen_s])
        return Entry(int(answer[0]), int(answer[1]), int(answer[2]))

    async def offsets(self) -> dict[int, int]:
        """Partition -> offset of the last envelope that was added. Raises StoreUnavailable."""
        return {int(partition): int(offset) for partition, offset in _pairs(await self._store.command(
            "HGETALL", _OFFSETS))}

    async def sums(self, project: str,
                   spans: Iterable[tuple[buckets.Grain, int]]) -> Mapping[tuple[Any, ...], Counter[str]]:
        """(operation, client, status) -> measures, over buckets. Raises StoreUnavailable."""
        total: dict[tuple[Any, ...], Counter[str]] = {}
        keys = [buckets.key(project, grain, start) for grain, start in spans]
        for fields in await self._store.hashes(keys):
            for name, value in fields.items():
                dimensions, measure = read_field(name.decode())
                total.setdefault(tuple(dimensions), Counter())[_MEASURES[measure]] += int(value)
        return total


def _pairs(answer: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(answer, dict):
        return answer.items()
    return zip(answer[::2], answer[1::2], strict=True)
