"""Which offset may be committed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.kafka.offsets import OffsetTracker


class TrackerBesideNaiveModel(RuleBasedStateMachine):
    """Any order of fetching and finishing: twice, too early, never fetched, with gaps."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.seen: list[int] = []
        self.done: set[int] = set()
        self.next = 0
        self.taken = 0

    @rule(gaps=st.lists(st.integers(0, 3), max_size=6))
    def fetch(self, gaps: list[int]) -> None:
        offsets = []
        for gap in gaps:
            offsets.append(self.next + gap)
            self.next += gap + 1
        self.tracker.fetched(offsets)
        self.seen += offsets

    @rule(offsets=st.lists(st.integers(0, 40), max_size=6))
    def finish(self, offsets: list[int]) -> None:
        self.tracker.finished(offsets)
        self.done.update(set(offsets) & set(self.seen))

    @rule()
    def take(self) -> None:
        open_ones = [offset for offset in self.seen if offset not in self.done]
        below = [offset for offset in self.seen if not open_ones or offset < open_ones[0]]
        committable = below[-1] + 1 if below else 0
        assert self.tracker.take_committable() == (committable if committable > self.taken else None)
        self.taken = committable

    @invariant()
    def open_ones_are_counted(self) -> None:
        assert self.tracker.open == len(set(self.seen) - self.done)


test_tracker_agrees_with_a_naive_model = TrackerBesideNaiveModel.TestCase


@pytest.mark.parametrize("gap", [1, 7], ids=["one offset missing", "compacted run"])
def test_commit_steps_over_gaps_left_by_compaction(gap: int) -> None:
    tracker = OffsetTracker()
    tracker.fetched([1, 2 + gap])
    tracker.finished([1, 2 + gap])
    assert tracker.take_committable() == 3 + gap


def test_offset_that_is_not_open_is_ignored() -> None:
    tracker = OffsetTracker()
    tracker.finished([5])
    assert (tracker.open, tracker.take_committable()) == (0, None)
    tracker.fetched([5, 6])
    tracker.finished([5])
    tracker.finished([5, 9])
    assert (tracker.open, tracker.take_committable()) == (1, 6)


@given(st.permutations(range(8)))
def test_nothing_is_committed_before_the_lowest_open_offset_is_done(order: list[int]) -> None:
    tracker = OffsetTracker()
    tracker.fetched(range(8))
    for offset in order:
        tracker.finished([offset])
        if offset == 0:
            break
        assert tracker.take_committable() is None
