"""Usage as a table says its units, and CSV leaves nothing out without a word."""

from typing import Any

import pytest
import typer

from services.console.cli import admin, usage
from shared.contracts.query import MEASURES, QUANTILES

ROW: dict[str, Any] = {"client": "till", "before": None, **dict.fromkeys(MEASURES, 1),
                       **dict.fromkeys(QUANTILES, 1_500)}


def test_times_are_in_the_unit_that_they_are_shown_with(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(admin, "ask", lambda *_, **__: {"rows": [ROW], "total": ROW, "before": None})
    usage.show("p", by="client")
    told = capsys.readouterr().out
    assert ("p50 " in told, "1.5 ms" in told, " us" in told) == (True, True, False)


def test_csv_of_a_comparison_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="take --json"):
        usage.show("p", compare=True, as_csv=True)


def test_comparison_of_each_time_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="leave one of both out"):
        usage.show("p", compare=True, per="hour")


@pytest.mark.parametrize(("tasks", "says"), [(30, False), (27, True)])
def test_recount_that_has_taken_the_other_end_of_a_request_says_why_its_row_is_another(
        tasks: int, says: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"requests": 10, "tasks": 30, "bytes_in": 0, "bytes_out": 0, "micros": 5, "late": 0}
    monkeypatch.setattr(admin, "ask", lambda *_, **__: {
        "counted": row, "recounted": {**row, "tasks": tasks, "micros": 6}, "difference": 0, "differences": [],
        "events_read": 11, "repeated_events": 1, "repeated_requests": 1, "first_ms": None, "stream": {"requests": 10}})
    usage.verify("p")
    assert ("either end may be the one that is counted" in capsys.readouterr().out) is says
