"""Which offset may be committed, and what is known of those above it."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.kafka.finished import MOST_CHARACTERS, read, text_of
from shared.kafka.offsets import OffsetTracker
from tests.support.fakes import FakeRecord


def records(offsets: Iterable[int], later_ms: int = 0) -> list[FakeRecord]:
    """Of one partition, written a second apart."""
    return [FakeRecord(offset=offset, timestamp=offset * 1000 + later_ms) for offset in offsets]


class TrackerBesideNaiveModel(RuleBasedStateMachine):
    """Any order of fetching and finishing: twice, too early, never fetched, with gaps; and any number of crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.log: list[int] = []
        self.read_to = 0
        self.open: set[int] = set()
        self.done: set[int] = set()
        # what the group knows: where to begin, and which of the later ones are done
        self.place, self.text, self.safe = 0, "", set[int]()

    @rule(gaps=st.lists(st.integers(0, 3), max_size=6))
    def write(self, gaps: list[int]) -> None:
        for gap in gaps:
            self.log.append((self.log[-1] if self.log else -1) + gap + 1)

    @rule(most=st.integers(0, 8))
    def fetch(self, most: int) -> None:
        poll = records([offset for offset in self.log if offset >= self.read_to][:most])
        self.tracker.fetched(poll)
        known = self.tracker.finished_before(poll)
        self.tracker.finished(known)
        assert known == {record.offset for record in poll} & self.safe, "all that was safe, and nothing else"
        self.open |= {record.offset for record in poll} - known
        if poll:
            self.read_to = poll[-1].offset + 1

    @rule(offsets=st.lists(st.integers(0, 40), max_size=6))
    def finish(self, offsets: list[int]) -> None:
        self.tracker.finished(offsets)
        self.done |= self.open & set(offsets)
        self.open -= set(offsets)

    @rule()
    def commit(self) -> None:
        read_ones = [offset for offset in self.log if offset < self.read_to]
        safe = {offset for offset in self.log if offset in self.done | self.safe}
        committed = self.tracker.take_committable()
        if committed is None:
            assert safe == self.safe or not read_ones, "nothing is kept back"
            return
        self.place, self.text = committed
        assert not self.open or self.place <= min(self.open)
        assert not {offset for offset in read_ones if offset < self.place} - safe
        self.safe = safe

    @rule()
    def crash(self) -> None:
        self.tracker = OffsetTracker(read(self.text))
        self.read_to, self.open, self.done = self.place, set(), set()

    @invariant()
    def open_ones_are_counted(self) -> None:
        assert self.tracker.open == len(self.open)


test_tracker_agrees_with_a_naive_model = TrackerBesideNaiveModel.TestCase


@pytest.mark.parametrize("gap", [1, 7], ids=["one offset missing", "compacted run"])
def test_commit_steps_over_gaps_left_by_compaction(gap: int) -> None:
    tracker = OffsetTracker()
    tracker.fetched(records([1, 2 + gap]))
    tracker.finished([1, 2 + gap])
    assert tracker.take_committable() == (3 + gap, "")


def test_offset_that_is_not_open_is_ignored() -> None:
    tracker = OffsetTracker()
    tracker.finished([5])
    assert (tracker.open, tracker.take_committable()) == (0, None)
    tracker.fetched(records([5, 6]))
    tracker.finished([5])
    tracker.finished([5, 9])
    assert (tracker.open, tracker.take_committable()) == (1, (6, ""))


@given(st.permutations(range(8)))
def test_nothing_is_committed_before_the_lowest_open_offset_is_done(order: list[int]) -> None:
    tracker = OffsetTracker()
    tracker.fetched(records(range(8)))
    for offset in order:
        tracker.finished([offset])
        if offset == 0:
            break
        place, text = tracker.take_committable() or (-1, "")
        known = read(text)
        assert place == 0
        assert known is not None
        assert not known.has(0, 0)
        assert known.has(offset, offset * 1000)


def test_record_that_took_the_place_of_a_finished_one_is_not_taken_for_it() -> None:
    tracker = OffsetTracker()
    tracker.fetched(records(range(8)))
    tracker.finished(range(1, 8))
    place, text = tracker.take_committable() or (-1, "")
    after = OffsetTracker(read(text))
    # the log lost all behind 4, and others were written there
    poll = records(range(place, 5)) + records(range(5, 9), later_ms=60_000)
    after.fetched(poll)
    assert after.finished_before(poll) == {1, 2, 3, 4}


@given(st.sets(st.integers(0, 10**12), max_size=2_000), st.integers(0, 10**13))
def test_text_is_never_too_long_and_never_says_more_than_is_so(still_open: set[int], newest_ms: int) -> None:
    end = max(still_open, default=0) + 1
    text = text_of(end, still_open, newest_ms)
    known = read(text)
    assert len(text) <= MOST_CHARACTERS
    assert known is not None
    assert known.end <= end
    assert known.still_open == {offset for offset in still_open if offset < known.end}
    assert known.newest_ms == newest_ms


@pytest.mark.parametrize("text", [None, "", "finished", "finished 5", "finished 5 -1", "finished 5 1 x", "done 5 1",
                                  "finished 5 1 " + "9" * 4000, "finished  5 1", "finished ² 1", "\0"])
def test_text_of_somebody_else_says_nothing(text: str | None) -> None:
    assert read(text) is None
