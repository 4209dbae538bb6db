"""The loops in C count what the loops in Python count, of plain events and of odd ones."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.analytics import loops
from services.analytics.fold import Folded, Known, Placed, fold
from services.analytics.sightings import Sightings
from shared.contracts.usage import Envelope, UsageEvent
from tests.support.usage import TIME, event, strategy

pytestmark = pytest.mark.skipif(not loops.BUILT, reason="no compiler was there when Weir was installed")
ORIGINS = ("t/0/1", "t/0/2", "t/0/02", "t/1/1", "u/0/1", "\N{GREEK SMALL LETTER ALPHA}/0/1", "a/b/c/7", "line\nt/0/1",
           "t/0/999999999999999999", "t/0/9999999999999999999", f"t/0/{'9' * 200}")
TIMINGS = ({}, {"policy": 0}, {"policy": 1}, {"policy": 150, "executor": 20_000}, {"policy": 2**53 - 1},
           {"policy": 2**53 - 1, "executor": 2**53 - 1}, {str(hop): 2**53 - 1 for hop in range(2_000)})
odd = st.builds(
    lambda one, origin, timing, time, **more: msgspec.structs.replace(
        one, origin=origin if one.kind == "request" else None, timing=timing, time=time, **more),
    strategy(), st.sampled_from((None, *ORIGINS)), st.sampled_from(TIMINGS),
    st.sampled_from([0, 59_999, 60_000, TIME, TIME + 1, TIME + 7_000, 2**53 - 1]),
    reason=st.sampled_from(["ok", "rate-limited", "blocked", "credentials-invalid", "operation-not-found"]),
    tasks=st.sampled_from([0, 3, 2**53 - 1]), token=st.sampled_from([None, "", "one", "two"]),
    address=st.sampled_from([None, "203.0.113.5", "203.0.113.6"]), path=st.just("/x"), proof=st.just("ab"))
batches = st.lists(st.lists(odd, max_size=12), max_size=5)


def folded(found: list[list[UsageEvent]], known: Known, built: bool) -> Folded:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "BUILT", built)
        return fold([Placed(0, number, Envelope(producer="p", sequence=number, events=tuple(events)))
                     for number, events in enumerate(found)], known)


def sighted(found: list[list[UsageEvent]], built: bool) -> tuple[Any, ...]:
    seen = Sightings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "BUILT", built)
        for events in found:
            seen.see(list(events))
    return seen.callers, seen.firsts, seen.places, seen.rows, seen.passed_over


def both(found: list[list[UsageEvent]], known: Known) -> None:
    fast, slow = folded(found, known, True), folded(found, known, False)
    assert fast == slow
    # the order of groups is the order of the ledger's work
    assert list(fast.sums) == list(slow.sums)


@given(batches, st.sets(st.sampled_from([1, 2, 999999999999999999])))
def test_sums_are_the_same(found: list[list[UsageEvent]], counted: set[int]) -> None:
    both(found, Known(numbers={"t/0": counted} if counted else {}))


@pytest.mark.parametrize("micros", [1, 2, 3, *(step for power in range(3, 53, 7) for step in (2**power - 1, 2**power))])
def test_times_fall_into_the_same_slot(micros: int) -> None:
    both([[event(1, timing={"policy": micros})]], Known())


@given(batches)
@example([[event(1, token="", address="203.0.113.5"), event(2, token="", address="203.0.113.5")]])
def test_sightings_are_the_same(found: list[list[UsageEvent]]) -> None:
    assert sighted(found, True) == sighted(found, False)


@pytest.mark.parametrize("built", [True, False])
def test_what_is_no_event_is_refused(built: bool) -> None:
    with pytest.raises(AttributeError):
        folded([["no event"]], Known(), built)  # type: ignore[list-item]  # that is the point


@pytest.mark.parametrize(("event_type", "sums_type"), [(dict, dict), (UsageEvent, UsageEvent), (int, UsageEvent)])
def test_structs_of_another_make_are_not_touched(event_type: Any, sums_type: Any) -> None:
    with pytest.raises((AttributeError, TypeError)):
        loops.learn(event_type, sums_type)
    both([[event(1), event(2)]], Known())
