"""Answer usage questions.

In:    a query, sums from the ledger.
Out:   rows, by the dimensions that were asked for.
Never: a look at more buckets than the bound allows.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from services.analytics import buckets
from services.analytics.fold import Dimensions
from services.analytics.ledger import Ledger
from services.analytics.measures import Measures
from shared.contracts.query import DIMENSIONS, UsageQuery, UsageRow
from shared.contracts.reply import ReplyRecord
from shared.errors import InputInvalid


class Queries:
    """Reads the ledger for whoever asks."""

    def __init__(self, ledger: Ledger, max_buckets: int) -> None:
        """`max_buckets` bounds one query."""
        self._ledger, self._max = ledger, max_buckets

    async def answer(self, value: bytes | None) -> ReplyRecord:
        """The reply to a query record. Raises BadRecord, InputInvalid, StoreUnavailable."""
        query = UsageQuery.from_json(value)
        spans = list(buckets.cover(query.since_ms, query.until_ms)) if self._fits(query) else []
        if len(spans) > self._max or not self._fits(query):
            raise InputInvalid(f"the range needs more than {self._max} buckets; ask for whole days "
                               "(WEIR_ANALYTICS_MAX_QUERY_BUCKETS)")
        rows = group(await self._ledger.sums(query.project, spans), query.by)
        body = orjson.dumps({"rows": rows, "until_ms": query.until_ms})
        return ReplyRecord(request_id="", status=200, body=body)

    def _fits(self, query: UsageQuery) -> bool:
        return (query.until_ms - query.since_ms) // buckets.DAY_MS <= self._max


def group(sums: Mapping[Dimensions, Measures], by: tuple[str, ...]) -> list[UsageRow]:
    """Sum over the dimensions that were not asked for; sorted by requests, most first."""
    found: dict[tuple[Any, ...], Measures] = {}
    for dimensions, measures in sums.items():
        kept = tuple(getattr(dimensions, name) if name in by else None for name in DIMENSIONS)
        found.setdefault(kept, Measures(slots={})).add(measures)
    rows = [UsageRow(operation=kept[0], client=kept[1], status=kept[2], requests=measures.requests,
                     tasks=measures.tasks, bytes_in=measures.bytes_in, bytes_out=measures.bytes_out)
            for kept, measures in found.items()]
    return sorted(rows, key=lambda row: (-row.requests, row.operation or "", row.client or "", row.status or 0))
