"""Many dead letters at once: what is refused keeps nobody from the others, and what was done is told."""

from typing import Any

import pytest

from services.console.cli import admin, dlq
from services.console.cli.failure import Failure


def asked(monkeypatch: pytest.MonkeyPatch, fails: dict[int, Failure], total: int = 3, older: int = 0) -> list[int]:
    done: list[int] = []

    def ask(method: str, parts: admin.Parts, *_: Any, **__: Any) -> Any:
        if len(parts) == 1:
            return {"letters": [{"id": 3}, {"id": 2}, {"id": 1}], "total": total, "older": older}
        number = int(parts[1])
        if number in fails:
            raise fails[number]
        done.append(number)
        return {"id": number, "state": "replayed" if method == "POST" else "dropped", "request_id": None}
    monkeypatch.setattr(admin, "ask", ask)
    return done


def test_letter_that_cannot_be_replayed_keeps_no_other_from_it(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    done = asked(monkeypatch, {1: admin.Refused("records of weir.signals are not replayed")}, total=1_200)
    with pytest.raises(Failure, match=r"^letter 1: records of weir\.signals are not replayed$"):
        dlq.replay(every=True)
    told = capsys.readouterr()
    assert done == [2, 3]
    assert told.out.splitlines() == ["letter 2 replayed, request id -", "letter 3 replayed, request id -"]
    assert told.err == "1200 wait; these are the newest 1000, the same command again takes more\n"


def test_what_was_done_before_control_went_away_is_told(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    done = asked(monkeypatch, {2: Failure("nobody answers")})
    with pytest.raises(Failure, match="nobody answers"):
        dlq.drop(every=True)
    assert (done, capsys.readouterr().out) == ([1], "letter 1 dropped, request id -\n")


def test_letters_that_control_knows_no_more_are_told_of(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked(monkeypatch, {}, older=64_000)
    dlq.list_letters()
    dlq.replay(every=True)
    dlq.replay(letters=[1])
    assert capsys.readouterr().err.splitlines() == 2 * [
        "64000 older letters are not among these: they stand in the topic, and control knows as many as "
        "WEIR_CONTROL_MAX_LETTERS says"]


def test_what_a_publisher_has_written_is_no_line_of_its_own_and_nothing_that_a_terminal_obeys(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = "a\nstate       replayed\x1b[2J"
    letter = {"id": 1, "state": "waiting", "place": "t/0/0", "service": "policy", "project": text, "operation": text,
              "request_id": text, "error": text, "headers": [[text, text]], "kept": False, "value": None,
              "history": [{"time": 0, "what": "died", "letter": 1, "detail": text}]}
    monkeypatch.setattr(admin, "ask", lambda *_: letter)
    dlq.show(1)
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert [line for line in told.splitlines() if line.startswith("state")] == ["state       waiting"]
