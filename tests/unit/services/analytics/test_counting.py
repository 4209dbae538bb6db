"""Folding, buckets, grouping, queries."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.analytics import buckets
from services.analytics.fold import fold, read_field
from services.analytics.queries import group
from shared.contracts.usage import UsageEvent

MINUTE = buckets.MINUTE_MS
names = st.text(max_size=8)
events = st.builds(
    UsageEvent, kind=st.sampled_from(["request", "delivery"]), id=st.just("i"), time=st.integers(0, 10**13),
    project=names, operation=names, client=names, source=st.just("edge"), status=st.integers(100, 599),
    reason=st.just("ok"), tasks=st.integers(0, 50), bytes_in=st.integers(0, 999), bytes_out=st.integers(0, 999),
    origin=st.none() | st.builds(lambda offset: f"t/0/{offset}", st.integers(0, 200_000)))


@given(st.lists(events, max_size=30))
def test_folding_keeps_every_request_and_no_delivery(found: list[UsageEvent]) -> None:
    folded = fold(found)
    requests = [event for event in found if event.kind == "request"]
    assert len(folded.events) == len(requests)
    for event, (target, _, _, tasks, bytes_in, bytes_out) in zip(requests, folded.events, strict=True):
        keys, prefix = folded.groups[target]
        assert keys == [buckets.key(event.project, grain, event.time) for grain in buckets.GRAINS]
        assert read_field(prefix + "r") == ([event.operation, event.client, event.status], "r")
        assert (tasks, bytes_in, bytes_out) == (event.tasks, event.bytes_in, event.bytes_out)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_places_of_request_records_never_share_a_bit(left: int, right: int) -> None:
    one, two = (fold([UsageEvent(kind="request", id="", time=0, project="", operation="", client="", source="",
                                 status=200, reason="", origin=f"t/0/{offset}")]).events[0] for offset in (left, right))
    assert (one[1:3] == two[1:3]) == (left == right)


@given(st.integers(0, 10**10), st.integers(0, 40 * buckets.DAY_MS))
def test_buckets_cover_a_range_without_gap_or_overlap(since: int, length: int) -> None:
    at = since // MINUTE * MINUTE
    for grain, start in buckets.cover(since, since + length):
        assert start == at
        assert start % grain.size_ms == 0
        at += grain.size_ms
    assert at == max(-(-(since + length) // MINUTE) * MINUTE, since // MINUTE * MINUTE)


def test_whole_days_need_one_bucket_each() -> None:
    assert len(list(buckets.cover(0, 30 * buckets.DAY_MS))) == 30


@given(st.dictionaries(st.tuples(names, names, st.integers(100, 599)), st.integers(1, 100), max_size=8),
       st.sets(st.sampled_from(["operation", "client", "status"])))
def test_grouping_loses_no_request(sums: dict[tuple[str, str, int], int], by: set[str]) -> None:
    rows = group({key: Counter(requests=count) for key, count in sums.items()}, tuple(by))
    assert sum(row.requests for row in rows) == sum(sums.values())
    assert all((row.client is None) == ("client" not in by) for row in rows)
