"""What commands print is what there is, whatever signs it has."""

import json

import pytest

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
