"""Records of several partitions go on by time, however the polls cut them."""

from typing import Any

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from services.control.by_time import ByTime
from tests.support.fakes import FakeRecord

PLACES = [TopicPartition(topic, partition) for topic in ("a", "b") for partition in (0, 1)]


def merged(times: dict[TopicPartition, list[int]], sizes: list[int], max_held: int = 1000) -> list[FakeRecord]:
    """Read in polls of these sizes, over and over."""
    left = {place: [record(place, offset, time) for offset, time in enumerate(found)] for place, found in times.items()}
    order, handed_on, polls = ByTime(times, max_held), [], 0
    while order:
        for place in order.slowest():
            size = sizes[polls % len(sizes)]
            polls += 1
            order.add(place, left[place][:size])
            left[place] = left[place][size:]
            if not left[place]:
                order.end(place)
        handed_on += list(order.ready())
        assert len(order._held) <= max_held
    return handed_on


def record(place: TopicPartition, offset: int, time: int) -> Any:
    return FakeRecord(topic=place.topic, partition=place.partition, offset=offset, timestamp=time)


@given(st.fixed_dictionaries({place: st.lists(st.integers(0, 30), max_size=30).map(sorted) for place in PLACES}),
       st.lists(st.integers(1, 7), min_size=1, max_size=9))
def test_order_is_that_of_all_records_sorted_by_time(times: dict[TopicPartition, list[int]], sizes: list[int]) -> None:
    by_time = sorted((time, place, offset) for place, found in times.items() for offset, time in enumerate(found))
    assert [(one.timestamp, TopicPartition(one.topic, one.partition), one.offset)
            for one in merged(times, sizes)] == by_time


def test_record_of_a_clock_that_is_ahead_waits_and_the_others_do_not() -> None:
    times = {PLACES[0]: [1, 900, 5, 9], PLACES[1]: [2, 4, 6, 8, 10]}
    assert [one.timestamp for one in merged(times, [3])] == [1, 2, 4, 5, 6, 8, 9, 10, 900]


def test_no_more_is_held_than_allowed_and_nothing_is_lost() -> None:
    times = {PLACES[0]: list(range(50, 0, -1)), PLACES[1]: [60]}
    assert sorted(one.timestamp for one in merged(times, [3], max_held=5)) == [*range(1, 51), 60]
