"""The recount agrees with the counters, and finds what does not."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.analytics.fold import Placed
from services.analytics.recount import Place, Recount, as_sums, differences
from shared.contracts.usage import UsageEvent
from shared.usage.buckets import MINUTE, cover
from shared.usage.dimensions import Dimensions
from tests.support.usage import TIME, MemoryLedger, envelopes, event, strategy, with_origins

BUCKETS = list(cover(TIME - 60_000, TIME + 300_000))
events = st.lists(strategy(), max_size=30).map(with_origins)


def counted(ledger: MemoryLedger) -> dict[Place, object]:
    return {Place(project, (MINUTE, minute), Dimensions._make(dimensions)): as_sums(sums)
            for (project, minute, *dimensions), sums in ledger.sums.items()}


@given(events, st.lists(st.integers(0, 30), max_size=5))
def test_counters_and_recount_agree(found: list[UsageEvent], cuts: list[int]) -> None:
    sent = envelopes(found, cuts) * 2
    ledger, again = MemoryLedger(), Recount(BUCKETS)
    ledger.enter([Placed(0, offset, one) for offset, one in enumerate(sent)])
    for one in sent:
        again.take(one)
    assert differences(counted(ledger), again.found, {}) == (0, [])


def test_lost_and_invented_requests_are_found() -> None:
    ledger, again = MemoryLedger(), Recount(BUCKETS)
    sent = envelopes([event(1), event(2), event(3)], [1, 2])
    ledger.enter([Placed(0, 0, sent[0])])
    for one in sent[1:]:
        again.take(one)
    total, shown = differences(counted(ledger), again.found, again.leeway())
    assert total > 0
    assert (shown[0].measure, shown[0].counted, shown[0].recounted) == ("requests", 1, 2)


@given(st.booleans(), st.booleans())
def test_either_event_of_a_request_that_ended_twice_may_be_the_counted_one(swap: bool, turn: bool) -> None:
    first = event(1, tasks=3)
    second = msgspec.structs.replace(first, status=504, tasks=1, time=TIME + 120_000)
    sent = [*envelopes([first], [], "a"), *envelopes([second], [], "b")]
    ledger, again = MemoryLedger(), Recount(BUCKETS)
    ledger.enter([Placed(0, offset, one) for offset, one in enumerate(sent)])
    order = sent[::-1] if swap else sent
    for one in order:
        again.take(one)
    assert bool(differences(counted(ledger), again.found, {})[0]) == swap
    # partitions are read beside each other, so the second reading may have another order
    for one in order[::-1] if turn else order:
        again.recall(one)
    assert differences(counted(ledger), again.found, again.leeway()) == (0, [])
    # but neither of them is none, and both of them are two
    ledger.sums.clear()
    assert differences(counted(ledger), again.found, again.leeway())[0] == 1
    for number, one in enumerate(order):
        ledger.bits.clear()
        ledger.enter([Placed(7, number, one)])
    assert differences(counted(ledger), again.found, again.leeway())[0] == 1


def test_events_outside_the_range_are_left_out() -> None:
    again = Recount(cover(TIME, TIME + 1))
    for one in envelopes([event(1, time=TIME - 3_600_000), event(2)], []):
        again.take(one)
    assert sum(sums["requests"] for sums in again.found.values()) == 1
