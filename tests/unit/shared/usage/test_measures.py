"""Sums and histograms."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.usage.measures import ENCODER, Measures, middle_of, row, slot_of, stored, total

times = st.lists(st.integers(1, 600_000_000), min_size=1, max_size=50)


def timed(micros: list[int]) -> Measures:
    result = Measures(slots={})
    for one in micros:
        result.add(Measures(requests=1, micros=one, slots={slot_of(one): 1}))
    return result


@given(times, times)
def test_sums_of_parts_are_the_sum_of_all(left: list[int], right: list[int]) -> None:
    assert total([timed(left), timed(right)]) == timed(left + right)


@given(st.lists(times, min_size=1, max_size=5))
def test_stored_counters_add_up_column_by_column(found: list[list[int]]) -> None:
    counters = [timed(each) for each in found]
    assert Measures.of([row(ENCODER.encode(each)) for each in counters]) == total(counters)
    assert Measures.of([[1, 2, 3, 4, 0, 6, []], [1, 0, 0, 0, 0, 0, []]]) == Measures(2, 2, 3, 4, 0, 6, {})


@given(times)
def test_stored_counter_comes_back_as_it_went(found: list[int]) -> None:
    assert stored(ENCODER.encode(timed(found))) == timed(found)


def test_counter_without_times_is_read_whether_it_holds_a_map_or_a_list() -> None:
    assert stored(ENCODER.encode([1, 2, 3, 4, 5, 6, []])).histogram == {}
    assert stored(ENCODER.encode([1, 2, 3, 4, 5, 6, {}])).quantiles([0.5, 0.9]) == [None, None]


@given(st.integers(1, 600_000_000))
def test_bucket_of_a_time_is_within_five_percent_of_it(micros: int) -> None:
    assert abs(middle_of(slot_of(micros)) - micros) <= 0.06 * micros + 0.5


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_quantiles_are_near_the_true_ones(share: float) -> None:
    chance = random.Random(3)
    found = sorted(int(chance.lognormvariate(9, 1)) + 1 for _ in range(5_000))
    true = found[int(share * len(found)) - 1]
    assert timed(found).quantiles([share]) == [pytest.approx(true, rel=0.06)]
