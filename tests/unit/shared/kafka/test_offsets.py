"""Which offset may be committed."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kafka.offsets import OffsetTracker


@given(st.sets(st.integers(0, 200), min_size=1, max_size=40), st.randoms(use_true_random=False), st.integers(0, 40))
def test_commit_is_the_highest_offset_below_which_nothing_is_open(
        offsets: set[int], random: Random, count: int) -> None:
    fetched = sorted(offsets)
    order = fetched[:]
    random.shuffle(order)
    done = order[:count]
    tracker = OffsetTracker()
    tracker.fetched(fetched)
    for offset in done:
        tracker.finished([offset])
    open_ones = [offset for offset in fetched if offset not in done]
    below = [offset for offset in fetched if not open_ones or offset < open_ones[0]]
    assert tracker.take_committable() == (below[-1] + 1 if below else None)
    assert tracker.open == len(open_ones)
    assert tracker.take_committable() is None


@pytest.mark.parametrize("gap", [1, 7], ids=["one offset missing", "compacted run"])
def test_commit_steps_over_gaps_left_by_compaction(gap: int) -> None:
    tracker = OffsetTracker()
    tracker.fetched([1, 2 + gap])
    tracker.finished([1, 2 + gap])
    assert tracker.take_committable() == 3 + gap


def test_offset_that_was_never_fetched_is_ignored() -> None:
    tracker = OffsetTracker()
    tracker.finished([5])
    assert (tracker.open, tracker.take_committable()) == (0, None)
