"""Signals: who is stopped by which, until when."""

from typing import Any

import pytest

from shared.contracts.config import Pin
from shared.contracts.signal import FOREVER, Signal
from shared.decision.amounts import Amounts
from shared.decision.book import PolicyBook
from shared.decision.decide import decide
from shared.decision.signals import SignalBoard
from shared.errors import BadRecord
from shared.names.reasons import Reason
from tests.support.calls import NOW, book, case


def signal(kind: Any = "client", subject: str = "c", action: Any = "block", **more: Any) -> Signal:
    return Signal(**{"project": "p", "until": NOW + 60_000, "time": NOW, "detector": "manual", **more}, kind=kind,
                  subject=subject, action=action)


def with_signals(*signals: Signal) -> PolicyBook:
    made = book([])
    made.signals.take(signals)
    return made


@pytest.mark.parametrize(("made", "reason"), [
    (signal(), Reason.BLOCKED), (signal(project="*"), Reason.BLOCKED), (signal(project="q"), Reason.OK),
    (signal(subject="d"), Reason.OK), (signal("token", "t"), Reason.BLOCKED), (signal("token", "c"), Reason.OK),
    (signal("ip", "10.1.2.3"), Reason.BLOCKED), (signal("ip", "::ffff:10.1.2.3"), Reason.BLOCKED),
    (signal("ip", "10.1.2.4"), Reason.OK), (signal(until=NOW), Reason.OK), (signal(action="observe"), Reason.OK)])
def test_caller_is_stopped_by_what_is_said_of_it(made: Signal, reason: Reason) -> None:
    assert decide(case(with_signals(made))).reason is reason


def test_blocked_caller_is_told_for_how_long_and_why() -> None:
    refusal = decide(case(with_signals(signal(reason="too many guesses", detector="burst")))).refusal
    assert refusal is not None
    assert str(refusal) == "this client is blocked for 60 s: too many guesses"
    assert (refusal.status, refusal.headers, refusal.members) == (403, {"Retry-After": "60"}, {"signal": "burst"})


def test_of_several_blocks_the_one_is_told_that_ends_last() -> None:
    short, long = signal(detector="short"), signal("ip", "10.1.2.3", until=NOW + 90_001, detector="long")
    ends = [(decide(case(with_signals(*made))).refusal, wait) for made, wait in (
        ((short, long), "91"), ((signal(until=NOW + 90_001, detector="long"), signal("ip", "10.1.2.3")), "91"),
        ((short, signal("token", "t", until=FOREVER, detector="long")), None))]
    for refusal, wait in ends:
        assert refusal is not None
        assert (refusal.members, refusal.headers.get("Retry-After")) == ({"signal": "long"}, wait)


def test_later_signal_replaces_the_earlier_one_whatever_the_spelling() -> None:
    known = with_signals(signal("ip", "10.1.2.3"), signal("ip", "::ffff:10.1.2.3", "unblock"))
    assert decide(case(known)).reason is Reason.OK
    assert known.signals.all(NOW) == []


def test_watched_caller_is_reported_and_let_in() -> None:
    looked = case(with_signals(signal(action="observe", detector="scan")))
    assert decide(looked).reason is Reason.OK
    assert (looked.observed, looked.demands) == (["signal-scan:client"], [])


def test_throttled_caller_has_a_rate_of_its_own() -> None:
    known, amounts = with_signals(signal(action="throttle", rate=2)), Amounts()
    looked = [case(known) for _ in range(3)]
    decisions = [decide(one, amounts) for one in looked]
    assert [one.observed for one in looked] == [[]] * 3
    assert [decision.reason for decision in decisions] == [Reason.OK, Reason.OK, Reason.RATE_LIMITED]
    refusal = decisions[2].refusal
    assert refusal is not None
    assert refusal.members == {"limit": "signal-manual"}


def test_nobody_is_a_subject_only_when_named() -> None:
    board = SignalBoard()
    board.take([signal(subject="")])
    assert board.about("p", [("client", "")], NOW) == []


@pytest.mark.parametrize("value", [
    b"[]", b"{}", b"null", signal().to_value().replace(b'"block"', b'"maul"'),
    signal().to_value().replace(b'"client"', b'"house"'), signal(subject="d").to_value()])
def test_record_that_is_no_signal_is_refused(value: bytes) -> None:
    with pytest.raises(BadRecord):
        Signal.from_record(signal().key, value)


def pin(action: str = "block", kind: str = "ip", subject: str = "10.1.2.3", until: int = FOREVER, **more: Any) -> Pin:
    return Pin(project="p", kind=kind, subject=subject, action=action, until=until, time=NOW, detector="manual", **more)


def test_pin_wins_over_what_detectors_say_and_ends_when_it_is_taken_away() -> None:
    made = with_signals(signal("ip", "10.1.2.3", "observe", detector="path-scan"))
    made.take([pin()])
    refusal = decide(case(made)).refusal
    assert refusal is not None
    assert (str(refusal), "Retry-After" in refusal.headers) == ("this address is blocked", False)
    made.take([pin(action="")])
    assert decide(case(made)).reason is Reason.OK
    assert [one.detector for one in made.signals.all(NOW)] == ["path-scan"]


def test_pin_says_how_often_and_why() -> None:
    made = book([])
    made.take([pin("throttle", rate=2), pin(kind="client", subject="d", reason="by hand")])
    looked = case(made)
    assert decide(looked).reason is Reason.OK
    assert [demand.limit for demand in looked.demands] == [2]
    assert [one.reason for one in made.signals.all(NOW) if one.action == "block"] == ["by hand"]
    assert made.signals.by_action(NOW) == {("observe",): 0, ("throttle",): 1, ("block",): 1}


def test_signal_that_has_ended_stops_nobody_while_others_are_in_force() -> None:
    made = with_signals(signal(until=NOW), signal(subject="d"))
    assert decide(case(made)).reason is Reason.OK
    assert [one.subject for one in made.signals.all(NOW)] == ["d"]


def test_what_was_said_later_does_not_count_for_a_call_of_the_past_and_does_for_one_of_now() -> None:
    board = with_signals(signal(time=NOW)).signals
    assert [[len(board.about("p", [("client", "c")], at, past=past)) for at in (NOW - 1, NOW, NOW + 59_999)]
            for past in (True, False)] == [[0, 1, 1], [1, 1, 1]]


def test_pin_with_an_end_ends_by_itself() -> None:
    made = book([])
    made.take([pin(until=NOW + 5_000)])
    assert decide(case(made)).reason is Reason.BLOCKED
    assert decide(case(made, now_ms=NOW + 5_000)).reason is Reason.OK


@pytest.mark.parametrize(("address", "reason"), [
    ("2001:db8:0:7::1", Reason.BLOCKED), ("2001:db8:0:7:ffff::9", Reason.BLOCKED), ("2001:db8:0:8::1", Reason.OK)])
def test_network_of_64_bits_stands_for_all_its_addresses(address: str, reason: Reason) -> None:
    made = with_signals(signal("ip", "2001:db8:0:7::/64"))
    assert decide(case(made, client_ip=address)).reason is reason


def test_board_forgets_what_has_ended_when_there_is_much_of_it() -> None:
    board = SignalBoard()
    board.take([signal("ip", f"10.{number // 250}.{number % 250}.1", until=NOW + 1, time=NOW)
                for number in range(1_000)])
    board.take([signal("client", "late", time=NOW + 7_200_000, until=NOW + 8_000_000)])
    assert [one.subject for one in board.all(0)] == ["late"]


def test_signal_of_an_allowance_is_listed_while_it_lasts_and_is_about_no_caller() -> None:
    board = SignalBoard()
    board.take([signal("allowance", "project", "observe")])
    assert not board, "no call has to look"
    assert [[one.subject for one in board.all(NOW + after)] for after in (59_999, 60_000)] == [["project"], []]


def test_board_knows_when_nobody_can_be_blocked() -> None:
    board = SignalBoard()
    board.take([signal(action="observe"), signal("ip", "10.1.2.3", "throttle")])
    assert not board.blocks(NOW)
    board.take([signal("token", "t", until=NOW + 5)])
    board.take_pins([pin(until=NOW + 9)])
    assert [board.blocks(NOW + after) for after in (0, 8, 9)] == [True, True, False]
    # what nobody knows of comes last
    board.take_pins([pin(action=""), pin(action="", subject="10.9.9.9")])
    assert [board.blocks(NOW + after) for after in (0, 4, 5)] == [True, True, False]
    board.take([signal("token", "t", "unblock"), signal("token", "u", "unblock")])
    assert not board.blocks(NOW)
    assert len(board.about("p", [("client", "c")], NOW)) == 1


def test_many_that_are_let_in_again_together_cost_one_look_at_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = SignalBoard._look_for_the_last

    def counted(board: SignalBoard) -> None:
        nonlocal looks
        looks += 1
        look(board)

    monkeypatch.setattr(SignalBoard, "_look_for_the_last", counted)
    board = SignalBoard()
    board.take([signal(subject=f"c{number}") for number in range(9)])
    board.take([signal(subject=f"c{number}", action="unblock") for number in range(8)])
    board.take_pins([pin(subject=f"10.1.2.{number}") for number in range(9)])
    board.take_pins([pin("", subject=f"10.1.2.{number}") for number in range(9)])
    assert looks == 2
    assert [one.subject for one in board.all(NOW)] == ["c8"]
    assert board.blocks(NOW + 59_999)
    assert not board.blocks(NOW + 60_000)
