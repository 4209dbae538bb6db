"""Sightings: every way to divide the same events shows the same, and no crowd makes them grow without bound."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.analytics import sightings
from services.analytics.sightings import Gathered, Row, Sightings
from services.analytics.verdict import says_more
from shared.contracts.signal import FOREVER, Signal
from shared.contracts.usage import UsageEvent
from tests.support.usage import event

REASONS = ("ok", "credentials-invalid", "operation-not-found", "rate-limited", "input-invalid", "upstream-failed")
made = st.lists(st.builds(
    lambda number, reason, client, address, time: event(
        number, time=time, reason=reason, client=client, address=address, token=client or None, path="/x", proof="ab",
        project="p"),
    st.integers(0, 9), st.sampled_from(REASONS), st.sampled_from(["", "a", "b"]),
    st.sampled_from(["203.0.113.5", "2001:db8::1", None]), st.integers(0, 20_000)), max_size=40)


def rows_of(gathered: Gathered, now_tick: int) -> list[Row]:
    return [row for part in gathered.rows(now_tick) for row in part]


def hits(*parts: list[UsageEvent]) -> Counter[tuple[object, ...]]:
    """Sums of what several processes tell, by whom."""
    total: Counter[tuple[object, ...]] = Counter()
    for part in parts:
        seen, gathered = Sightings(), Gathered()
        seen.see(part)
        gathered.take(seen)
        for row in (*seen.rows.values(), *rows_of(gathered, 10**9)):
            minute = row.tick if row.detector.looks_at == "events" else row.tick // 12
            # places are told once by each process, so their marks are what counts
            key = row.detector.name, row.project, row.kind, row.subject, minute
            if row.detector.looks_at == "places":
                total.update({(*key, mark): 0 for mark in row.marks})
            else:
                total[key] += row.hits
    return total


@given(made, st.integers(0, 40))
def test_any_division_among_processes_adds_up_to_the_same(events: list[UsageEvent], cut: int) -> None:
    assert hits(events[:cut], events[cut:]) == hits(events)


@given(made)
def test_calls_are_weighed_for_those_who_were_noticed_alone(events: list[UsageEvent]) -> None:
    seen = Sightings()
    seen.see(events)
    seen.weigh([])
    for row in seen.rows.values():
        mine = [one for one in events if one.time // 5_000 == row.tick and one.client == row.subject]
        if row.detector.weighs_calls and row.kind == "client":
            assert row.calls == len(mine)
        if not row.detector.weighs_calls:
            assert row.calls == 0


def test_calls_of_a_quiet_turn_are_weighed_when_somebody_was_noticed_before() -> None:
    seen = Sightings()
    seen.see([event(1, time=1, reason="ok", client="a", project="p") for _ in range(7)])
    seen.weigh([("hammering", "p", "client", "a")])
    assert [(row.hits, row.calls) for row in seen.rows.values()] == [(0, 7)]


def test_calls_of_whoever_is_blocked_are_not_looked_at() -> None:
    seen = Sightings()
    seen.see([event(number, reason="blocked", client="a", token="t", address="::1") for number in range(9)])
    assert (seen.callers, seen.places, seen.rows) == ({}, {}, {})


def test_crowd_is_passed_over_and_counted_once_there_is_no_room() -> None:
    seen = Sightings()
    many = sightings.MAX_SUBJECTS + 10
    seen.see([event(number, time=1, reason="rate-limited", client=f"c{number}", project="p") for number in range(many)])
    assert (len(seen.rows), seen.passed_over) == (sightings.MAX_SUBJECTS, 10)


def signal(action: str, until: int = 1_000, detector: str = "hammering") -> Signal:
    return Signal(project="p", kind="client", subject="c", action=action, until=until, time=0, detector=detector)


def test_only_what_says_more_is_said() -> None:
    new = signal("throttle", 2_000)
    assert says_more(new, None, 0)
    assert says_more(new, signal("observe"), 0)
    assert not says_more(new, signal("block"), 0)
    assert not says_more(new, signal("throttle"), 400)
    assert says_more(new, signal("throttle"), 600)
    assert not says_more(signal("block"), signal("observe", detector="manual"), 0)
    assert not says_more(signal("block"), signal("observe", FOREVER), 0)


def test_most_callers_are_told_once_a_minute_and_those_who_call_a_lot_at_once() -> None:
    gathered, seen = Gathered(), Sightings()
    seen.see([event(number, time=1, client="quiet", token=None) for number in range(10)])
    seen.see([event(number, time=1, client="busy", token=None) for number in range(60)])
    gathered.take(seen)
    assert [(row.subject, row.hits) for row in rows_of(gathered, 1)] == [("busy", 60)]
    assert [(row.subject, row.hits) for row in rows_of(gathered, 13)] == [("quiet", 10)]
    assert rows_of(gathered, 13) == []


def test_place_that_is_seen_all_the_time_is_told_now_and_then() -> None:
    gathered, told = Gathered(), []
    for tick in range(10):
        seen = Sightings()
        seen.see([event(1, time=tick * 5_000 + 10**6, token="t", address="203.0.113.5", client="")])
        gathered.take(seen)
        told.append(len(rows_of(gathered, 0)))
    assert told == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0]


def test_calls_from_an_exempt_network_neither_count_nor_hide_those_from_elsewhere() -> None:
    def exempt(one: UsageEvent) -> bool:
        return (one.address or "").startswith("10.")
    seen, gathered = Sightings(exempt), Gathered(exempt)
    seen.see([event(number, client="till", token="t", address=address, reason=reason) for number, address, reason in (
        (1, "10.0.0.1", "ok"), (2, "203.0.113.1", "ok"), (3, "10.0.0.2", "rate-limited"),
        (4, "203.0.113.2", "rate-limited"))])
    gathered.take(seen)
    rows = {row.detector.name: row for row in (*seen.rows.values(), *rows_of(gathered, 10**9))}
    assert (rows["hammering"].hits, rows["hammering"].event.address) == (1, "203.0.113.2")
    assert (len(rows["token-sharing"].marks), rows["token-sharing"].event.address) == (2, "203.0.113.1")
