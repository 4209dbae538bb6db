"""Allowances: who spends from which amount, what the answer says, what happens once all is spent."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.contracts.config import Adjustment
from shared.decision.allowances import CompiledAllowance
from shared.decision.amounts import Amounts, Ask
from shared.decision.book import GuardedProject, PolicyBook
from shared.decision.case import Case
from shared.decision.decide import decide
from shared.decision.explain import Finding, after_amounts, before_amounts
from shared.decision.matrix import matrix
from shared.decision.replay import Replay
from shared.names import topics
from shared.names.reasons import Reason
from shared.project.access.budgets import Demand, Kind
from shared.project.model import Project
from tests.support.calls import DIGEST, NOW, book, case

OK, EXHAUSTED, LIMITED = Reason.OK, Reason.ALLOWANCE_EXHAUSTED, Reason.RATE_LIMITED
# each call of the project under test costs the trigger and one step
COST = 2


def ms(*when: int, zone: str = "UTC") -> int:
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp() * 1000)  # type: ignore[misc,arg-type]


def budgeted(*allowances: dict[str, Any], **more: Any) -> PolicyBook:
    return book(more.pop("policies", []), allowance=list(allowances), **more)


def spent(known: PolicyBook, amounts: Amounts, tasks: int, operation: str = "get-thing", client: str = "c",
          now_ms: int = NOW) -> None:
    """As if a client had spent so many tasks."""
    project = known.project("p")
    assert project is not None
    for one in project.operations[operation].allowances:
        demand = one.grant(client, operation, now_ms, None).demand(tasks)
        amounts.spend([Ask("spent", 0, [demand])], now_ms * 1000)


def call(known: PolicyBook, amounts: Amounts, operation: str = "get-thing", **more: Any) -> tuple[Reason, Case]:
    looked = case(known, operation, **more)
    return decide(looked, amounts).reason, looked


def test_call_is_refused_once_all_is_spent_and_told_until_when() -> None:
    known, amounts = budgeted({"tasks": 10, "zone": "Europe/Berlin"}), Amounts()
    spent(known, amounts, 9)
    assert call(known, amounts)[0] is OK
    looked = case(known)
    refusal = decide(looked, amounts).refusal
    assert refusal is not None
    assert (refusal.status, refusal.reason, refusal.members) == (429, EXHAUSTED, {"allowance": "project"})
    # 21:30 UTC on the 17th is 22:30 in Berlin: 14 days and one and a half hours are left of January there
    left_s = 14 * 86_400 + 5_400
    assert refusal.headers["Retry-After"] == str(left_s)
    assert refusal.headers["Allowance"] == f'"project";q=10;r=0;t={left_s}'
    assert str(refusal) == (f"allowance 'project' (10 tasks per month) is spent; the next month begins in {left_s} s "
                            "(Europe/Berlin)")


def test_every_answer_says_what_is_left() -> None:
    known, amounts = budgeted({"tasks": 10}, {"tasks": 100, "by": "client", "per": "day"}), Amounts()
    spent(known, amounts, 3)
    reason, looked = call(known, amounts)
    assert reason is OK
    assert looked.answer_headers["Allowance"] == '"project";q=10;r=7;t=1218600, "client";q=100;r=97;t=9000'


def test_of_two_that_are_spent_the_one_is_told_that_keeps_the_caller_waiting_longer() -> None:
    for allowances in (({"tasks": 10}, {"tasks": 5, "per": "day", "name": "day"}),
                       ({"tasks": 5, "per": "day", "name": "day"}, {"tasks": 10})):
        known, amounts = budgeted(*allowances), Amounts()
        spent(known, amounts, 10)
        refusal = decide(case(known), amounts).refusal
        assert refusal is not None
        assert (refusal.members, refusal.headers["Retry-After"]) == ({"allowance": "project"}, "1218600")


def test_project_without_allowance_has_nothing_to_ask() -> None:
    _, looked = call(book([]), Amounts())
    assert (looked.demands, looked.grants, looked.answer_headers) == ([], (), {})


def test_question_for_a_result_spends_nothing_and_is_never_refused() -> None:
    project = budgeted({"tasks": 1}).project("p")
    assert project is not None
    assert {name for name, guarded in project.operations.items() if guarded.allowances} == {
        "get-thing", "make-thing", "open"}


CALLS = [("c", "get-thing"), ("", "get-thing"), ("c", "make-thing"), ("dora", "make-thing")]


@pytest.mark.parametrize(("allowance", "amounts"), [
    ({}, [0, 0, 0, 0]), ({"by": "client"}, [0, 1, 0, 3]), ({"by": "operation"}, [0, 0, 2, 2]),
    ({"by": ["operation", "client"]}, [0, 1, 2, 3]), ({"operations": ["get-*"]}, [0, 0, None, None]),
    ({"clients": ["c"]}, [0, None, 0, None]), ({"clients": ["do*"], "by": "client"}, [None, None, None, 3]),
], ids=lambda value: str(value))
def test_calls_spend_from_the_amount_that_the_owner_names(allowance: dict[str, Any], amounts: list[int | None]) -> None:
    project = budgeted({"tasks": 5, **allowance}).project("p")
    assert project is not None
    keys = [tuple(one.grant(client, operation, NOW, None).demand(1).key
                  for one in project.operations[operation].allowances if one.concerns(client))
            for client, operation in CALLS]
    assert [keys.index(key) if key else None for key in keys] == amounts


def test_limit_answers_before_the_allowance_and_refused_calls_spend_neither() -> None:
    fair = {"name": "fair", "action": "accept", "limits": [{"limit": 1, "per": "minute"}]}
    known, amounts = budgeted({"tasks": 100}, policies=[fair]), Amounts()
    assert [call(known, amounts)[0] for _ in range(3)] == [OK, LIMITED, LIMITED]
    spent(known, amounts, 100 - COST)
    later = {"now_ms": NOW + 120_000}
    assert [call(known, amounts, **later)[0] for _ in range(2)] == [EXHAUSTED, EXHAUSTED]
    _, looked = call(known, amounts, **later)
    # the window is as it was before the calls that the allowance refused
    assert [(outcome.left, outcome.wait_ms > 0) for outcome in looked.outcomes] == [(1, False), (0, True)]


def test_throttle_lets_a_few_through_and_overage_lets_all_through_and_says_so() -> None:
    known, amounts = budgeted({"tasks": 10, "at_limit": "throttle", "rate": 2}), Amounts()
    spent(known, amounts, 10)
    found = [call(known, amounts) for _ in range(3)]
    assert [reason for reason, _ in found] == [OK, OK, EXHAUSTED]
    assert found[0][1].answer_headers["Allowance"].startswith('"project";q=10;r=0;')
    refusal = decide(case(known), amounts).refusal
    assert refusal is not None
    assert int(refusal.headers["Retry-After"]) <= 63
    assert call(known, amounts, now_ms=NOW + 64_000)[0] is OK
    known, amounts = budgeted({"tasks": 10, "at_limit": "overage"}), Amounts()
    spent(known, amounts, 9)
    found = [call(known, amounts) for _ in range(2)]
    assert [(reason, looked.observed) for reason, looked in found] == [(OK, []), (OK, ["project:overage"])]


def test_month_begins_at_midnight_of_its_zone() -> None:
    for zone, midnight in (("Europe/Berlin", ms(2026, 1, 31, 23)), ("UTC", ms(2026, 2, 1)),
                           ("America/New_York", ms(2026, 2, 1, 5)), ("Asia/Kathmandu", ms(2026, 1, 31, 18, 15))):
        known, amounts = budgeted({"tasks": 10, "zone": zone}), Amounts()
        spent(known, amounts, 10, now_ms=midnight - 1000)
        ends = [call(known, amounts, now_ms=at)[0] for at in (midnight - 1000, midnight - 1, midnight, midnight - 1)]
        assert ends == [EXHAUSTED, EXHAUSTED, OK, EXHAUSTED], zone


@pytest.mark.parametrize(("per", "begin", "end"), [
    ("hour", ms(2026, 3, 29, 11), ms(2026, 3, 29, 12)),
    ("day", ms(2026, 3, 29, zone="Europe/Berlin"), ms(2026, 3, 30, zone="Europe/Berlin")),
    ("week", ms(2026, 3, 23, zone="Europe/Berlin"), ms(2026, 3, 30, zone="Europe/Berlin")),
    ("month", ms(2026, 3, 1, zone="Europe/Berlin"), ms(2026, 4, 1, zone="Europe/Berlin")),
    ("quarter", ms(2026, 1, 1, zone="Europe/Berlin"), ms(2026, 4, 1, zone="Europe/Berlin")),
    ("year", ms(2026, 1, 1, zone="Europe/Berlin"), ms(2027, 1, 1, zone="Europe/Berlin"))])
def test_any_calendar_period_counts_in_its_zone(per: str, begin: int, end: int) -> None:
    known = budgeted({"tasks": 10, "per": per, "zone": "Europe/Berlin"})
    # the day on which Berlin puts its clocks forward
    grant = only(known).grant("c", "get-thing", int(datetime(2026, 3, 29, 11, 30, tzinfo=UTC).timestamp() * 1000), None)
    assert (grant.start, grant.end) == (begin, end)


def only(known: PolicyBook) -> CompiledAllowance:
    project = known.project("p")
    assert project is not None
    return project.allowances[0]


def adjusted(known: PolicyBook, **more: Any) -> None:
    known.take([Adjustment(**{"project": "p", "name": "project", "start": ms(2026, 1, 1), "time": NOW, **more})])


def test_raised_and_reset_amounts_hold_for_their_period_alone() -> None:
    known, amounts = budgeted({"tasks": 10}), Amounts()
    spent(known, amounts, 12)
    assert call(known, amounts)[0] is EXHAUSTED
    adjusted(known, raised={"[]": 3})
    reason, looked = call(known, amounts)
    assert (reason, looked.answer_headers["Allowance"].split(";t")[0]) == (OK, '"project";q=13;r=1')
    assert call(known, amounts)[0] is EXHAUSTED
    adjusted(known, forgiven={"[]": 14})
    assert call(known, amounts)[1].answer_headers["Allowance"].startswith('"project";q=10;r=10;')
    february = ms(2026, 2, 5)
    assert call(known, amounts, now_ms=february)[1].answer_headers["Allowance"].startswith('"project";q=10;r=10;')
    spent(known, amounts, 8, now_ms=february)
    assert call(known, amounts, now_ms=february)[0] is EXHAUSTED


def test_amount_of_all_and_of_one_client_can_be_raised() -> None:
    known = budgeted({"tasks": 10, "by": "client", "tasks_of": {"c": 20}})
    adjustment = Adjustment(project="p", name="client", start=ms(2026, 1, 1), time=0, raised={"*": 5, '["c"]': -30},
                            forgiven={'["d"]': 7})
    found = {client: only(known).grant(client, "get-thing", NOW, adjustment) for client in ("c", "d", "")}
    assert {client: (grant.tasks, grant.forgiven) for client, grant in found.items()} == {
        "c": (0, 0), "d": (15, 7), "": (15, 0)}


def test_explanation_and_matrix_speak_of_it() -> None:
    known, amounts = budgeted({"tasks": 10}, {"tasks": 9, "by": "client", "clients": ["x"], "name": "x"}), Amounts()
    spent(known, amounts, 10)
    looked = case(known)
    assert before_amounts(looked, None)[1] is None
    looked.outcomes = amounts.spend([looked.ask("r")], NOW * 1000)[0]
    findings, refusal = after_amounts(looked)
    assert refusal is not None
    assert findings[-2] == Finding("allowance project", "spent", "0 of 10 tasks left, the call costs 2 at least",
                                   "10 tasks per month in UTC, then no more; the next month begins in 1218600 s")
    assert (findings[-1].check, findings[-1].verdict, findings[-1].saw) == ("allowance", "refused", "1 allowances")
    project = known.project("p")
    assert isinstance(project, GuardedProject)
    cells = {cell.client: cell.limits for cell in matrix(project, {"c": frozenset(), "x": frozenset()})
             if cell.operation == "get-thing"}
    assert cells["c"] == ["10 tasks per month in UTC, then no more"]
    assert cells["x"][1] == "9 tasks per month in UTC by client, then no more"


def test_replay_tells_what_a_draft_with_an_allowance_would_refuse() -> None:
    live = book([])
    project = live.project("p")
    assert project is not None
    document = {"name": "p", "clients": [{"name": "c"}], "allowance": {"tasks": 7}, "operations": [
        {"name": "get-thing", "method": "GET", "path": "/things/{id}", "workflow": "w"}],
        "workflows": {"w": {"name": "w", "steps": [{"id": "a", "reply": {"body": 1}}]}}}
    draft = GuardedProject.compile(Project.model_validate(document), 4)
    replay = Replay(live, live.with_project(draft))
    for number in range(6):
        replay.take(case(live, token=DIGEST).request, topics.REQUESTS_EDGE, NOW + number)
    [change] = replay.to_doc()["changes"]
    # four calls at two tasks each: the fourth begins while one task is left
    assert (change["after"], change["requests"]) == ("allowance-exhausted (project)", 2)


def test_memory_shares_the_amount_among_instances() -> None:
    one = Demand("k|[]", Kind.ALLOWANCE, 12, 0, NOW + 60_000, 2, True, "n")
    kept = Amounts(share=3)
    assert [kept.spend([Ask("r", 0, [one])], NOW * 1000)[0][0].left for _ in range(3)] == [4, 2, 0]
