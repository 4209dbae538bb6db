"""What commands print is what there is, whatever signs it has."""

import pytest

from services.console.cli import output

TEXT = "[/fix] thing [red] :warning: [Errno 111]"


def test_what_looks_like_a_style_is_shown_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([{"reason": TEXT, "roles": [TEXT]}], ("reason", "roles"), as_json=False)
    output.say(TEXT)
    told = capsys.readouterr().out
    assert told.count(TEXT) == 3
