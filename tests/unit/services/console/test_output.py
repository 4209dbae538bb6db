"""What commands print is what there is, whatever signs it has."""

import json

import pytest
from rich.console import Console

from services.console.cli import output

TEXT = "[/fix] thing [red] :warning: [Errno 111]"


def test_what_looks_like_a_style_is_shown_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([{"reason": TEXT, "roles": [TEXT]}], ("reason", "roles"), as_json=False)
    output.say(TEXT)
    told = capsys.readouterr().out
    assert told.count(TEXT) == 3


OBEYED = "\x1b[2J\x1b]0;title\x07 \x9b31m \x7f\r\b"


def test_what_a_terminal_would_obey_is_spelled_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([{"reason": OBEYED, "roles": [OBEYED]}], ("reason", "roles"), as_json=False)
    output.say(f"two\n\tlines {OBEYED}")
    output.styled([(f"no second line\n{OBEYED}", "dim")])
    told = capsys.readouterr().out
    assert told.count(r"\x1b[2J\x1b]0;title\x07 \x9b31m \x7f\x0d\x08") == 4
    assert "two\n" in told
    assert r"no second line\n" in told
    assert all(one.isprintable() or one == "\n" for one in told)
    output.document({"reason": OBEYED})
    told = capsys.readouterr().out
    assert json.loads(told) == {"reason": OBEYED}
    assert all(one.isprintable() or one == "\n" for one in told)


ID, LONG = "01a22992-3660-7e2a-89f4-801474673cc1", "looking for the topic " + "replies." * 20
COLUMNS = ("time", "request_id", "project", "bytes_out", "error")
ROWS = [{"time": 0, "request_id": ID, "project": "shop", "bytes_out": 105_252, "error": LONG},
        {"time": 0, "request_id": ID, "project": "shop", "bytes_out": 0, "error": None}]


def test_terminal_that_is_too_narrow_cuts_no_id_number_or_text(monkeypatch: pytest.MonkeyPatch,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(output, "console", Console(width=80, soft_wrap=True))
    output.rows(ROWS, COLUMNS, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [len(line.split()) for line in lines] == [7, 10, 6]
    assert all(line == line.rstrip() for line in lines)
    assert f"1970-01-01 00:00:00Z  {ID}  shop     105252     {LONG}" == lines[1]


def test_terminal_with_room_for_ids_and_numbers_shows_longer_texts_in_several_lines(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(output, "console", Console(width=130, soft_wrap=True))
    output.rows(ROWS, COLUMNS, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 130
    assert lines[1].startswith(f"1970-01-01 00:00:00Z  {ID}  shop     105252 ")


def test_live_listing_has_a_line_for_a_number_however_narrow_its_terminal() -> None:
    narrow = Console(width=60, soft_wrap=True)
    shown = output.table([{"operation": "a-rather-long-operation-name", "requests": 1_234_567, "bytes_out": 105_252}],
                         ("operation", "requests", "bytes_out"), live=True)
    with narrow.capture() as held:
        narrow.print(shown)
    assert "a-rather-long-operation-name  1234567   105252" in held.get()
    narrow = Console(width=30, soft_wrap=True)
    with narrow.capture() as held:
        narrow.print(shown)
    assert "a-rather-long-op  1234567   105252" in held.get()
