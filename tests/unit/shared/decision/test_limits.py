"""Limits: what is admitted, what the answer says, and that no window ever holds more than its limit."""

import tracemalloc
from itertools import accumulate, pairwise
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import token as tokens
from shared.contracts.config import Token
from shared.decision.amounts import Amounts, Ask
from shared.decision.case import Case
from shared.decision.decide import Decision, decide, look
from shared.names import topics
from shared.names.reasons import Reason
from shared.project.access.budgets import Demand, Kind
from tests.support.calls import DIGEST, NOW, book, case

SECOND = 1_000_000


def demand(kind: Kind, limit: int, width_ms: int = 1000, extra: int = 1, cost: int = 1, **more: Any) -> Demand:
    return Demand(**{"key": "k", "enforced": True, "name": "n", **more}, kind=kind, limit=limit, width_ms=width_ms,
                  extra=extra, cost=cost)


TRAFFIC = st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 3)), min_size=1, max_size=120)


# how many instances share the limits
SHARE = st.integers(1, 4)


def part(whole: int, share: int) -> int:
    return max(1, whole // share)


def admitted(kind: Kind, traffic: list[tuple[int, int]], share: int, limit: int,
             extra: int = 1) -> list[tuple[int, int]]:
    """Times and costs of what is let in."""
    amounts, found = Amounts(share), []
    times = accumulate(gap for gap, _ in traffic)
    for time, (_, cost) in zip(times, traffic, strict=True):
        wanted = demand(kind, limit, extra=extra, cost=cost)
        if amounts.spend([Ask("r", 0, [wanted])], NOW * 1000 + time)[0][0].wait_ms == 0:
            found.append((time, cost))
    return found


@given(TRAFFIC, SHARE, st.integers(1, 12))
def test_no_sliding_window_ever_admits_more_than_its_limit(
        traffic: list[tuple[int, int]], share: int, limit: int) -> None:
    let_in = admitted(Kind.WINDOW, traffic, share, limit)
    for start, _ in let_in:
        assert sum(cost for time, cost in let_in if start <= time < start + SECOND) <= part(limit, share)


# how far somebody sets the clock between two calls, us
@given(st.lists(st.sampled_from([0, 1_000, 60_000, 5 * SECOND, 3_600 * SECOND, -70_000, -5 * SECOND, -3_600 * SECOND]),
                min_size=1, max_size=60), st.integers(1, 4))
def test_window_keeps_its_limit_though_the_clock_is_set_back_and_nobody_waiting_longer_than_it_is_wide(
        steps: list[int], limit: int) -> None:
    amounts, time, let_in, wanted = Amounts(), NOW * 1000, list[int](), demand(Kind.WINDOW, limit)
    for step in steps:
        time += step
        # what came later by the clock before counts as now
        let_in = [min(one, time) for one in let_in if one > time - SECOND]
        outcome = amounts.spend([Ask("r", 0, [wanted])], time)[0][0]
        assert outcome.wait_ms <= 1_050
        if outcome.wait_ms == 0:
            let_in.append(time)
        assert len(let_in) <= limit


@given(TRAFFIC, SHARE, st.integers(1, 12), st.integers(1, 12))
def test_no_window_of_a_bucket_admits_more_than_its_size_and_what_flows_in(
        traffic: list[tuple[int, int]], share: int, limit: int, size: int) -> None:
    let_in = admitted(Kind.BUCKET, traffic, share, limit, size)
    for start, _ in let_in:
        for end, _ in let_in:
            inside = sum(cost for time, cost in let_in if start <= time <= end)
            assert end < start or inside <= part(size, share) + (end - start) * part(limit, share) / SECOND


@given(TRAFFIC, SHARE, st.integers(1, 12))
def test_smooth_limit_lets_in_one_call_after_the_other_and_a_cost_of_two_is_twice_as_long(
        traffic: list[tuple[int, int]], share: int, limit: int) -> None:
    let_in = [(time, cost) for time, cost in admitted(Kind.BUCKET, traffic, share, limit, 0) if cost]
    for (start, cost), (end, _) in pairwise(let_in):
        assert end - start >= cost * SECOND / part(limit, share)


@given(TRAFFIC, SHARE, st.integers(1, 12))
def test_no_more_calls_than_the_limit_are_ever_under_way_at_the_same_time(
        traffic: list[tuple[int, int]], share: int, limit: int) -> None:
    amounts, under_way, time = Amounts(share), dict[str, int](), NOW * 1000
    for number, (gap, way) in enumerate(traffic):
        time += gap
        under_way = {name: until_ms for name, until_ms in under_way.items() if until_ms > time // 1000}
        if way == 0 and under_way:
            # one that is not going to run after all
            amounts.release(name := min(under_way), ["k"])
            del under_way[name]
        ask = Ask(f"r{number}", time // 1000 + 300 * way + 1, [demand(Kind.CONCURRENT, limit)])
        let_in = amounts.spend([ask], time)[0][0].wait_ms == 0
        assert let_in is (len(under_way) < part(limit, share))
        if let_in:
            under_way[ask.request_id] = ask.until_ms


@given(TRAFFIC, st.integers(1, 12))
def test_whoever_waits_as_long_as_told_is_let_in(traffic: list[tuple[int, int]], limit: int) -> None:
    for kind, size, dearest in ((Kind.WINDOW, 0, 1), (Kind.BUCKET, 1, 1), (Kind.BUCKET, 0, limit)):
        amounts, time = Amounts(), NOW * 1000
        for gap, cost in traffic:
            time += gap
            ask = [Ask("r", 0, [demand(kind, limit, extra=size, cost=min(cost, dearest))])]
            wait_ms = amounts.spend(ask, time)[0][0].wait_ms
            if wait_ms:
                time += wait_ms * 1000
                assert amounts.spend(ask, time)[0][0].wait_ms == 0


def test_request_takes_all_it_demands_or_nothing() -> None:
    amounts = Amounts()
    wide, narrow = demand(Kind.WINDOW, 10, key="wide"), demand(Kind.WINDOW, 1, key="narrow")
    first, second = amounts.spend([Ask("1", 0, [wide, narrow]), Ask("2", 0, [wide, narrow])], NOW * 1000)
    assert ([one.left for one in first], [one.left for one in second]) == ([9, 0], [9, 0])
    assert [bool(one.wait_ms) for one in second] == [False, True]


def test_calls_at_the_same_time_end_with_their_deadline() -> None:
    amounts, one = Amounts(), demand(Kind.CONCURRENT, 1)
    asks = [Ask("a", NOW + 500, [one]), Ask("b", NOW + 500, [one]), Ask("a", NOW + 500, [one])]
    waits = [outcome[0].wait_ms for outcome in amounts.spend(asks, NOW * 1000)]
    assert waits == [0, 1000, 0], "the same request asks twice when its record is delivered again"
    assert amounts.spend([Ask("c", NOW + 900, [one])], (NOW + 500) * 1000)[0][0].wait_ms == 0


def test_place_that_is_given_back_is_free_for_the_next_call() -> None:
    amounts, one = Amounts(), demand(Kind.CONCURRENT, 1)
    first, second = Ask("a", NOW + 500, [one]), Ask("b", NOW + 500, [one])
    amounts.release("a", ["k", "never demanded"])
    assert amounts.spend([first], NOW * 1000)[0][0].wait_ms == 0
    amounts.release("b", ["k"])
    assert amounts.spend([second], NOW * 1000)[0][0].wait_ms == 1000, "only its holder gives a place back"
    amounts.release("a", ["k"])
    assert amounts.spend([second], NOW * 1000)[0][0].wait_ms == 0


def test_of_many_places_each_call_does_not_look_at_all() -> None:
    amounts, one = Amounts(), demand(Kind.CONCURRENT, 20_000)
    began = process_time()
    for number in range(30_000):
        amounts.spend([Ask(f"r{number}", NOW + number + 15_000, [one])], (NOW + number) * 1000)
    assert process_time() - began < 5
    for number in range(30_000, 40_000):
        amounts.spend([Ask(f"r{number}", NOW + 9**12, [one])], (NOW + 50_000) * 1000)
        amounts.release(f"r{number}", ["k"])
    assert len(amounts._amounts["k"].ends) < 200, "who has gone long before its deadline is forgotten"


@pytest.mark.parametrize(("extra", "most"), [(20, 20), (0, 60)], ids=["bucket", "smooth"])
def test_bucket_of_a_limit_that_was_raised_is_full_no_later_than_an_empty_one(extra: int, most: int) -> None:
    amounts, month_ms = Amounts(), 30 * 86_400_000
    once = demand(Kind.BUCKET, 1, width_ms=month_ms, extra=extra and 1)
    assert amounts.spend([Ask("a", 0, [once])], NOW * 1000)[0][0].wait_ms == 0
    raised = demand(Kind.BUCKET, 60, width_ms=60_000, extra=extra)
    wait_ms = amounts.spend([Ask("b", 0, [raised])], NOW * 1000)[0][0].wait_ms
    assert 0 < wait_ms <= most * 1000
    let_in = amounts.spend([Ask("c", 0, [raised])], (NOW + wait_ms) * 1000)[0][0]
    assert let_in.wait_ms == 0
    assert amounts.spend([Ask("d", 0, [raised])], (NOW + wait_ms) * 1000)[0][0].wait_ms == 1000


@pytest.mark.parametrize(("size", "cost"), [(10_000_000, 50_000), (0, 5_000_000)], ids=["bucket", "smooth"])
def test_limit_of_bytes_lets_in_what_flows_in_though_a_byte_takes_less_than_a_microsecond(
        size: int, cost: int) -> None:
    amounts, time, spent = Amounts(), NOW * 1000, 0
    wanted = demand(Kind.BUCKET, 100_000_000, width_ms=60_000, extra=size, cost=cost)
    while spent < 50_000_000:
        wait_ms = amounts.spend([Ask("r", 0, [wanted])], time)[0][0].wait_ms
        spent, time = spent + (0 if wait_ms else cost), time + wait_ms * 1000
    flown_in_us = (spent - (size or cost)) * 60 / 100
    assert flown_in_us <= time - NOW * 1000 <= flown_in_us + 1_000


def test_nobody_is_told_to_wait_longer_than_a_store_can_say() -> None:
    amounts, day_ms = Amounts(), 86_400_000
    never = demand(Kind.BUCKET, 10, width_ms=day_ms, extra=0, cost=10**9)
    late = demand(Kind.BUCKET, 1, width_ms=30 * day_ms, extra=10**6, cost=10**6, key="late")
    amounts.spend([Ask("a", 0, [late])], NOW * 1000)
    [told] = amounts.spend([Ask("b", 0, [never, late])], NOW * 1000)
    assert [(one.reset_ms, one.wait_ms) for one in told] == [(day_ms, day_ms), (30 * day_ms, 10**13)]


def test_amounts_in_force_are_looked_through_no_more_often_than_they_double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.decision.amounts._TIDY_AT", 10)
    amounts, tidied, known = Amounts(), 0, None
    for number in range(1000):
        amounts.spend([Ask("r", 0, [demand(Kind.WINDOW, 1, width_ms=60_000, key=str(number))])], NOW * 1000)
        tidied, known = tidied + (amounts._amounts is not known), amounts._amounts
    assert tidied <= 8
    amounts.spend([Ask("r", 0, [demand(Kind.WINDOW, 1, width_ms=60_000, key=f"later-{number}")])
                   for number in range(1000)], (NOW + 120_000) * 1000)
    amounts.spend([], (NOW + 120_000) * 1000)
    assert len(amounts._amounts) == 1000, "those that are over are forgotten"


def test_share_of_a_limit_is_never_nothing() -> None:
    amounts = Amounts(share=3)
    waits = [amounts.spend([Ask("r", 0, [demand(Kind.WINDOW, limit, key=str(limit))])], NOW * 1000)[0][0].left
             for limit in (1, 3, 9)]
    assert waits == [0, 0, 2]


def limited(*limits: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"name": "fair", "action": "accept", "limits": list(limits), **more}]


def calls(policies: list[dict[str, Any]], *ways: dict[str, Any]) -> list[tuple[Decision, Case]]:
    known, amounts, found = book(policies), Amounts(), []
    for way in ways:
        looked = case(known, **way)
        found.append((decide(looked, amounts), looked))
    return found


def reasons(policies: list[dict[str, Any]], *ways: dict[str, Any]) -> list[Reason]:
    return [decision.reason for decision, _ in calls(policies, *ways)]


OK, SPENT = Reason.OK, Reason.RATE_LIMITED
MINUTE = {"limit": 1, "per": "minute"}


def test_refusal_says_which_limit_is_spent_and_how_long_to_wait() -> None:
    (first, admitted_case), (second, _) = calls(limited(MINUTE), {}, {})
    assert first.reason is OK
    assert admitted_case.answer_headers == {"RateLimit-Policy": '"fair";q=1;w=60', "RateLimit": '"fair";r=0;t=60'}
    assert second.refusal is not None
    assert (second.refusal.status, second.refusal.members) == (429, {"limit": "fair"})
    headers = second.refusal.headers
    assert headers["RateLimit"] == f'"fair";r=0;t={headers["Retry-After"]}'
    assert 60 <= int(headers["Retry-After"]) <= 63


def test_of_limits_that_are_spent_the_one_is_told_that_keeps_the_caller_waiting_longest() -> None:
    limits = [{"name": "hour", "limit": 1, "per": "hour"}, {"name": "minute", "limit": 1, "per": "minute"},
              {"name": "places", "concurrent": 1}]
    for order in (limits, limits[::-1]):
        refusal = calls(limited(*order), {"request_id": "a"}, {"request_id": "b"})[1][0].refusal
        assert refusal is not None
        assert (refusal.members, refusal.headers["Retry-After"]) == ({"limit": "hour"}, "3780")


def test_headers_show_the_tightest_window_and_name_all() -> None:
    limits = ({"name": "hour", "limit": 100, "per": "hour"}, {"name": "minute", "limit": 5, "per": "minute"},
              {"concurrent": 7}, {"name": "tried", "limit": 1, "per": "day", "mode": "observe"})
    _, looked = calls(limited(*limits), {})[0]
    assert looked.answer_headers == {"RateLimit-Policy": '"hour";q=100;w=3600, "minute";q=5;w=60',
                                     "RateLimit": '"minute";r=4;t=60'}


DAY = {"name": "day", "limit": 10, "per": "day"}


@pytest.mark.parametrize(("limits", "bodies", "shown"), [
    # of a bucket its size counts, be it less than a window lets in or more
    ([{"name": "burst", "limit": 600, "per": "minute", "burst": 20}, DAY], [1], '"day";r=9;t=86400'),
    ([{"name": "burst", "limit": 6, "per": "hour", "burst": 50}, DAY], [20], '"burst";r=30;t=1'),
    # of a smooth limit nothing is ever left
    ([{"name": "even", "limit": 600, "per": "minute", "smooth": True}, DAY], [1], '"day";r=9;t=86400'),
    ([{"name": "even", "limit": 600, "per": "minute", "smooth": True}], [1], '"even";r=0;t=1'),
    # whichever refuses is shown, though more is left of it
    ([{"name": "hour", "limit": 10, "per": "hour", "cost": "size"}, {"name": "minute", "limit": 9, "per": "minute"}],
     [1, 1, 1, 9], '"hour";r=7;t=3780'),
    ([{"name": "even", "limit": 60, "per": "minute", "smooth": True}, DAY], [1, 1], '"even";r=0;t=1'),
    ([{"name": "even", "limit": 60, "per": "minute", "smooth": True},
      {"name": "slow", "limit": 60, "per": "hour", "smooth": True}], [1], '"slow";r=0;t=60'),
    # for as long as the call that is refused has to wait, not until something is free
    ([{"name": "burst", "limit": 60, "per": "minute", "burst": 10}], [10, 5], '"burst";r=0;t=5'),
    ([{"name": "once", "concurrent": 1}, DAY], [1, 1], '"day";r=9;t=86760')])
def test_window_that_is_shown_is_the_one_to_look_at(
        limits: list[dict[str, Any]], bodies: list[int], shown: str) -> None:
    costs = [{"cost": "size", **one} if "burst" in one else one for one in limits]
    found = calls(limited(*costs), *({"body": b"x" * size, "request_id": f"r{number}"}
                                     for number, size in enumerate(bodies)))
    decision, looked = found[-1]
    assert looked.answer_headers["RateLimit"] == shown
    assert decision.refusal is None or decision.refusal.headers["RateLimit"] == shown


@pytest.mark.parametrize(("by", "ways", "ends"), [
    ("client", [{}, {"client_ip": "10.9.9.9"}, {"operation": "make-thing"}], [OK, SPENT, SPENT]),
    ("ip", [{}, {"client_ip": "10.9.9.9"}, {"token": None, "operation": "open"}], [OK, OK, SPENT]),
    (["client", "operation"], [{}, {"operation": "make-thing"}, {}], [OK, OK, SPENT]),
    (["client", "ip"], [{}, {"client_ip": "10.9.9.9"}, {}], [OK, OK, SPENT]),
    ("header:X-Tenant", [{"headers": {"x-tenant": "a"}}, {"headers": {"x-tenant": "b"}}, {}, {}],
     [OK, OK, OK, SPENT]),
    ("client", [{"token": None, "operation": "open"}, {"token": None, "operation": "open", "client_ip": "10.9.9.9"}],
     [OK, OK]),
    ("project", [{}, {"token": None, "operation": "open"}], [OK, SPENT]),
    ("token", [{}, {}], [OK, SPENT]), ("role", [{}, {}], [OK, SPENT]), ("claim:org", [{}, {}], [OK, SPENT]),
])
def test_each_combination_of_subjects_has_its_own_amount(
        by: Any, ways: list[dict[str, Any]], ends: list[Reason]) -> None:
    assert reasons(limited({**MINUTE, "by": by}), *ways) == ends


def test_each_token_of_a_client_has_its_own_amount() -> None:
    known, other, amounts = book(limited({**MINUTE, "by": "token"})), "1" * 64, Amounts()
    known.take([Token(id="u", project="p", client="c", created=0,
                      digests={topics.REQUESTS_EDGE: tokens.stored_digest(other)})])
    assert [decide(case(known, token=shown), amounts).reason for shown in (DIGEST, other, other)] == [OK, OK, SPENT]


def test_limit_counts_only_calls_that_its_policy_accepts() -> None:
    policies = limited(MINUTE, operations=["get-*"], rules=[{"header": {"name": "x", "is": "y"}}])
    assert reasons(policies, {}, {}, {"headers": {"x": "y"}}, {"headers": {"x": "y"}}, {"operation": "make-thing"}) == [
        OK, OK, OK, SPENT, OK]


def test_window_opens_again() -> None:
    assert reasons(limited(MINUTE), {}, {"now_ms": NOW + 59_000}, {"now_ms": NOW + 63_000}) == [OK, SPENT, OK]


def test_bucket_takes_a_burst_and_smooth_takes_none() -> None:
    burst = {"limit": 60, "per": "minute", "burst": 3}
    ways = [{}, {}, {}, {}, {"now_ms": NOW + 1000}, {"now_ms": NOW + 1000}]
    assert reasons(limited(burst), *ways) == [OK, OK, OK, SPENT, OK, SPENT]
    smooth = {"limit": 60, "per": "minute", "smooth": True}
    assert reasons(limited(smooth), *ways) == [OK, SPENT, SPENT, SPENT, OK, SPENT]


def test_dear_call_of_a_smooth_limit_is_let_in_and_the_next_one_waits_as_long_as_it_costs() -> None:
    smooth = limited({"limit": 60, "per": "minute", "smooth": True, "cost": "size"})
    times = [(0, 5), (4_999, 1), (5_000, 2), (6_999, 1), (7_000, 61), (7_000, 1)]
    found = calls(smooth, *({"now_ms": NOW + time, "body": b"x" * cost} for time, cost in times))
    assert [decision.reason for decision, _ in found] == [OK, SPENT, OK, SPENT, SPENT, OK]
    assert [looked.answer_headers["RateLimit"] for _, looked in found[:2]] == ['"fair";r=0;t=5', '"fair";r=0;t=1']


def test_calendar_quota_begins_anew_at_midnight_of_its_zone() -> None:
    quota = {"limit": 1, "per": "day", "calendar": "Europe/Berlin"}
    # 21:30 UTC is 22:30 in Berlin
    ends = reasons(limited(quota), {}, {"now_ms": NOW + 89 * 60_000}, {"now_ms": NOW + 90 * 60_000})
    assert ends == [OK, SPENT, OK]


def test_cost_is_a_number_or_an_expression() -> None:
    assert reasons(limited({"limit": 10, "per": "hour", "cost": 6}), {}, {}) == [OK, SPENT]
    by_size = limited({"limit": 10, "per": "hour", "cost": "size / 2 + 1"})
    assert reasons(by_size, {"body": b"0123456789"}, {"body": b"0123456789"}, {"body": b"01"}) == [OK, SPENT, OK]
    assert reasons(limited({"limit": 1, "per": "hour", "cost": "body.none"}), {}, {}) == [OK, SPENT]
    assert reasons(limited({"limit": 1, "per": "hour", "cost": "0 - size"}), {"body": b"1"}, {"body": b"1"}) == [OK, OK]


@pytest.mark.parametrize(("cost", "body", "charged"), [
    ("body.n", b'{"n": 60}', 60), ("body.n", b'{"n": 60.0}', 60), ("body.n", b'{"n": 6e1}', 60),
    ("body.n", b'{"n": 1.5}', 100), ("body.n", b'{"n": true}', 100), ("body.n", b'{"n": "6"}', 100),
    ("body.n", b'{"m": 6}', 100), ("body.n", b"no json", 100), ("body.n", b'{"n": -6}', 0),
    ("body.n", b'{"n": 18446744073709551615}', 10**12 + 1),
    ("body.n", b'{"n": 5000000000}', 5 * 10**9), ("body.n * 1000000", b'{"n": 9300000000000}', 100),
    ("body.n.filter(one, one > 0).size()", b'{"n": [' + b"1," * 20_000 + b"1]}", 100),
    ("has(body.n) ? body.n : 1", b"{}", 1)])
def test_cost_without_a_value_is_all_of_the_limit(cost: str, body: bytes, charged: int) -> None:
    way = {"operation": "make-thing", "body": body}
    _, looked = calls(limited({"limit": 100, "per": "minute", "cost": cost}), way)[0]
    assert [demand.cost for demand in looked.demands] == [charged]


def test_what_callers_write_into_a_header_is_not_remembered_however_much_they_write() -> None:
    by_header = limited({"limit": 1, "per": "hour", "by": "header:x-key"})
    here, (long, other) = book(by_header), ({"headers": {"x-key": "x" * 7_000 + one}} for one in "ab")
    assert reasons(by_header, long, other, long) == [OK, OK, SPENT]
    tracemalloc.start()
    for number in range(1_000):
        look(case(here, headers={"x-key": f"{number}" + "x" * 7_000}))
    remembered, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert remembered < 1_000_000


def test_no_call_costs_less_than_it_says_however_large_the_limit() -> None:
    bytes_a_month = limited({"limit": 10**12, "per": "month", "cost": "body.n"})
    way = {"operation": "make-thing", "body": b'{"n": 400000000000}'}
    assert reasons(bytes_a_month, way, way, way) == [OK, OK, SPENT]
    assert reasons(bytes_a_month, {**way, "body": b'{"n": 1000000000001}'}) == [SPENT]


def test_all_of_a_limit_is_what_it_can_let_in_at_once() -> None:
    bucket, smooth = {"limit": 60, "per": "minute", "burst": 3}, {"limit": 60, "per": "minute", "smooth": True}
    several = [{**one, "name": f"l{number}", "cost": "body.n"} for number, one in enumerate((bucket, smooth, {
        "concurrent": 4}, {"limit": 9, "per": "day", "calendar": "UTC"}))]
    _, looked = calls(limited(*several), {})[0]
    assert [demand.cost for demand in looked.demands] == [3, 60, 1, 9]


def test_observed_limit_reports_and_lets_in() -> None:
    found = calls(limited({**MINUTE, "mode": "observe"}), {}, {})
    assert [decision.reason for decision, _ in found] == [OK, OK]
    assert [looked.observed for _, looked in found] == [[], ["fair:limit"]]
    assert found[1][1].answer_headers == {}
    whole = calls(limited(MINUTE, mode="observe"), {}, {})
    assert [looked.observed for _, looked in whole] == [[], ["fair:limit"]]


LIMITS = st.lists(st.sampled_from([
    {"limit": 2, "per": "minute"}, {"limit": 1, "per": "second", "burst": 2}, {"concurrent": 2},
    {"limit": 60, "per": "minute", "smooth": True}, {"limit": 3, "per": "day", "calendar": "Europe/Berlin"},
    {"limit": 6, "per": "hour", "cost": 2}, {"limit": 1, "per": "minute", "by": ["ip"]}]), max_size=3, unique_by=str)
WAYS = st.lists(st.tuples(st.integers(0, 30_000), st.sampled_from(["10.1.2.3", "::1"])), max_size=12)


@given(LIMITS, LIMITS, WAYS)
def test_observed_limits_never_change_what_enforced_ones_decide(
        enforced: list[dict[str, Any]], observed: list[dict[str, Any]], ways: list[tuple[int, str]]) -> None:
    named = [{**one, "name": f"l{number}"} for number, one in enumerate(enforced)]
    tried = [{**one, "name": f"o{number}", "mode": "observe"} for number, one in enumerate(observed)]
    times = accumulate(gap for gap, _ in ways)
    asked = [{"now_ms": NOW + time, "client_ip": address, "request_id": f"r{number}"}
             for number, (time, (_, address)) in enumerate(zip(times, ways, strict=True))]
    alone, beside = calls(limited(*named), *asked), calls(limited(*tried, *named), *asked)
    assert [(one.reason, str(one.refusal)) for one, _ in alone] == [(one.reason, str(one.refusal)) for one, _ in beside]
    assert [looked.answer_headers for _, looked in alone] == [looked.answer_headers for _, looked in beside]


def test_call_that_holds_a_place_names_what_it_gives_back() -> None:
    found = calls(limited({"concurrent": 1}, MINUTE | {"limit": 9}), {}, {})
    assert [len(looked.holds) for _, looked in found] == [1, 1], "the same request id twice is one call"
    refused = calls(limited({"concurrent": 1}, MINUTE | {"limit": 1}), {}, {})
    assert [len(looked.holds) for _, looked in refused] == [1, 0]


def test_limits_of_one_name_in_a_version_that_is_in_force_have_an_amount_each() -> None:
    beside = limited({"limit": 4, "per": "minute"}, {"name": "fair", "limit": 100, "per": "minute", "mode": "observe"},
                     {"name": "fair", "limit": 100, "per": "minute"})
    assert reasons(beside, *[{}] * 5) == [OK, OK, OK, OK, SPENT]
    keys = [[demand.key for demand in calls(policies, {})[0][1].demands] for policies in (beside, limited(MINUTE))]
    assert len(set(keys[0])) == 3
    assert keys[0][0] == keys[1][0], "what is spent goes on to count"


def test_no_subject_stands_in_a_key() -> None:
    _, looked = calls(limited({**MINUTE, "by": ["header:x-key", "client"]}), {"headers": {"x-key": "whsec-secret"}})[0]
    assert "secret" not in looked.demands[0].key
