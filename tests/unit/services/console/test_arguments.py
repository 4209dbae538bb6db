"""What a person types is what is asked for."""

from typing import Any

import pytest
import typer

from services.console.cli import access, admin, arguments, signals

TOKEN = {"token": "t", "internal_digest": "d", "id": "i"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []

    def ask(_: str, __: Any, body: Any = None) -> Any:
        found.append(body)
        return TOKEN
    monkeypatch.setattr(admin, "ask", ask)
    return found


@pytest.mark.parametrize(("text", "seconds"), [("1h", 3600), ("1500ms", 2), ("1ms", 1)])
def test_part_of_a_second_counts_for_a_whole_one(text: str, seconds: int) -> None:
    assert arguments.seconds(text, "--for") == seconds


def test_tokens_that_are_to_end_at_once_end_at_once(
        asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    access.rotate_token("p", "till", overlap="0s")
    assert asked == [{"expires_in_s": None, "overlap_s": 0}]
    assert "The other tokens of till end now." in capsys.readouterr().out


def test_block_and_token_for_no_time_are_refused(asked: list[Any]) -> None:
    with pytest.raises(typer.BadParameter, match="1s is the least"):
        signals.block("p", client="till", duration="0s")
    with pytest.raises(typer.BadParameter, match="1s is the least"):
        access.create_token("p", "till", expires="0s")
    assert asked == []
