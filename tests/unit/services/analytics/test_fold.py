"""Folding: whatever way events come, they give the same counts."""

import random

from hypothesis import given
from hypothesis import strategies as st

from services.analytics import seen
from services.analytics.fold import Known, Placed, fold
from shared.contracts.usage import LONGEST_US, MAX_BYTES, UsageEvent, encoded
from shared.usage.measures import ENCODER
from tests.support.usage import MemoryLedger, envelopes, event, recount, strategy, with_origins

events = st.lists(strategy(), max_size=40).map(with_origins)
cuts = st.lists(st.integers(0, 40), max_size=8)


def placed(found: list, partition: int = 0) -> list[Placed]:
    return [Placed(partition, offset, envelope) for offset, envelope in enumerate(found)]


def test_sums_of_a_batch_of_the_largest_events_can_be_told_to_the_store() -> None:
    largest = event(tasks=2**40 - 1, bytes_in=2**40 - 1, bytes_out=2**40 - 1, origin=None,
                    timing={str(hop): LONGEST_US for hop in range(32)})
    # no envelope has more of any events, and a batch is full with 2,000
    most = MAX_BYTES // len(encoded(event())) + 2_000
    found = fold(placed(envelopes([largest] * most, [])), Known())
    assert ENCODER.encode(list(found.sums.values()))


@given(events, cuts, cuts)
def test_any_split_into_envelopes_gives_the_same_counts(found: list[UsageEvent], one: list[int],
                                                        other: list[int]) -> None:
    left, right = MemoryLedger(), MemoryLedger()
    left.enter(placed(envelopes(found, one)))
    for each in placed(envelopes(found, other)):
        right.enter([each])
    assert left.sums == right.sums
    assert left.totals() == recount(found)


@given(events, cuts, st.integers(1, 6))
def test_batches_cut_short_by_many_sums_lose_nothing(found: list[UsageEvent], where: list[int], most: int) -> None:
    whole, ledger = placed(envelopes(found, where)), MemoryLedger()
    while whole:
        taken = ledger.enter(whole, most).records
        assert taken > 0
        whole = whole[taken:]
    assert ledger.totals() == recount(found)


@given(events, cuts, st.randoms(use_true_random=False), st.integers(1, 5))
def test_repeated_and_reordered_envelopes_give_the_same_counts(found: list[UsageEvent], where: list[int],
                                                               chance: random.Random, size: int) -> None:
    """Several producers, over several partitions, each envelope once or more often."""
    half = len(found) // 2
    sent = [*envelopes(found[:half], where, "a"), *envelopes(found[half:], where, "b")]
    sent += chance.choices(sent, k=chance.randrange(6))
    chance.shuffle(sent)
    ledger, ends = MemoryLedger(), [0, 0, 0]
    batch: list[Placed] = []
    for envelope in sent:
        partition = chance.randrange(3)
        batch.append(Placed(partition, ends[partition], envelope))
        ends[partition] += 1
        if len(batch) >= size:
            ledger.enter(batch)
            # the same again, as after a crash between the store and the broker
            assert not ledger.enter(batch).requests
            batch = []
    ledger.enter(batch)
    assert ledger.totals() == recount(found)


@given(events, cuts)
def test_event_of_a_redelivered_record_counts_once_even_from_another_producer(found: list[UsageEvent],
                                                                              where: list[int]) -> None:
    with_record = with_origins(found, every=1)
    ledger = MemoryLedger()
    ledger.enter(placed(envelopes(with_record, where, "before the crash")))
    again = ledger.enter(placed(envelopes(with_record, where, "after it"), partition=1))
    assert not again.requests
    assert again.repeated_events == sum(one.kind == "request" for one in with_record)
    assert ledger.totals() == recount(with_record)


@given(events)
def test_folding_keeps_every_request_and_notes_every_delivery(found: list[UsageEvent]) -> None:
    folded = fold(placed(envelopes(found, [])), Known())
    assert folded.requests == [one for one in found if one.kind == "request"]
    assert folded.deliveries == [one for one in found if one.kind == "delivery"]
    assert sum(sums.late for sums in folded.sums.values()) == len(folded.deliveries)
    assert sum(sums.micros for sums in folded.sums.values()) == sum(
        sum(one.timing.values()) for one in folded.requests)


def test_place_of_a_bad_record_counts_as_read() -> None:
    folded = fold([Placed(2, 7, None), Placed(2, 8, None)], Known(offsets={2: 6}))
    assert folded.places == {2: (7, 8)}
    assert not folded.sums


def test_envelopes_that_the_store_has_are_left_out() -> None:
    batch = placed(envelopes([event(number) for number in range(4)], [1, 2, 3]))
    folded = fold(batch, Known(offsets={0: 1}))
    assert folded.places == {0: (2, 3)}
    assert [one.id for one in folded.requests] == ["2", "3"]


@given(st.sets(st.integers(0, 300_000), max_size=60))
def test_runs_hold_exactly_the_numbers_they_are_made_of(found: set[int]) -> None:
    made = list(seen.runs("t/0", found))
    back = [number for run in made for number in seen.numbers(run, run.bits)]
    assert back == sorted(found)
    assert all(run.start + len(run.bits) <= seen.PAGE // 8 for run in made)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_places_of_request_records_never_share_a_bit(left: int, right: int) -> None:
    one, two = (next(seen.runs("t/0", [number])) for number in (left, right))
    assert (one == two) == (left == right)
