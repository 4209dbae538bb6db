"""Results survive as a file, and two files can be compared."""

from pathlib import Path
from typing import Any

import pytest

from tests.bench import compare, report
from tests.bench.results import NoResults, Results
from tests.bench.rows import BARE, STANDARD, Load
from tests.bench.stats import Spread

LOAD = "64 connections, closed loop"


def one(rps: float, cpu_us: float = 100.0, p99: float = 2.0) -> dict[str, Any]:
    """What one load of one round has found."""
    return {"rps": rps, "answers": 100, "wrong": 0, "unanswered": 0, "lost": 0, "p50": 1.0, "p99": p99,
            "cpu_us": {"policy": cpu_us, "hop": cpu_us}, "switches": {"policy": 1.0, "hop": 1.0},
            "log_bytes": {"weir.usage": 10.0}, "loopback_bytes": 20.0, "load_cpu": 0.5, "load_late_p99": 0.1,
            "of": {200: {"count": 60}, 503: {"count": 30}}}


def results(standard: list[float], bare: list[float], **machine: Any) -> Results:
    """Rounds of two rows, and of the loads that are no closed loops."""
    found = Results(machine={"cpu": "a", "commit": "abc", **machine}, options={"seconds": 1})
    found.rows = {BARE: {LOAD: [one(rps) for rps in bare]}, STANDARD: {LOAD: [one(rps) for rps in standard]}}
    found.stress = {"capacity": [one(1000)], "calm": [one(500, p99=3.0)], "overload": [one(900, p99=4.0)]}
    return found


def test_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    place, found = tmp_path / "new" / "a.json", results([40, 50], [100, 100])
    found.save(place)
    again = Results.load(place)
    assert again.beside_bare(STANDARD, LOAD)["rate"] == Spread(0.45, 0.4, 0.5, 2)
    assert again.beside_bare(BARE, LOAD)["rate"] == Spread(1, 1, 1, 2)
    assert again.beyond()["overload: goodput ÷ capacity"].median == 0.9
    assert (again.machine, again.loads()) == (found.machine, [LOAD])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}'])
def test_file_of_somebody_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(NoResults, match=r"x\.json"):
        Results.load(tmp_path / "x.json")


def test_comparison_says_what_has_changed_and_what_may_be_chance(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    five = [100.0] * 5
    # the second machine is twice as fast, so rates are, and ratios are not
    results([50, 51, 49, 52, 50], five).save(tmp_path / "a.json")
    results([120, 122, 118, 124, 120], [200.0] * 5, cpu="b").save(tmp_path / "b.json")
    compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    said = capsys.readouterr().out
    assert "machine differs, cpu: a and b" in said
    [line] = [line for line in said.splitlines() if "standard: requests/s" in line]
    assert line.split()[-1] == "more"
    assert "+20.0% (+13.5% to +26.5%)" in line
    assert "1 of 8 ratios have changed by more than noise" in said


def test_same_file_twice_has_changed_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results([50, 51, 49, 52, 50], [100.0] * 5).save(tmp_path / "a.json")
    compare.main([str(tmp_path / "a.json")] * 2)
    said = capsys.readouterr().out
    assert "0 of 8 ratios have changed" in said
    assert "differs" not in said


def test_load_that_failed_is_told_and_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = results([40, 50, 60], [100, 100, 100])
    found.rows[STANDARD][LOAD][1] = {"failed": True, "rps": 0.0, "wrong": 7, "answers": 7, "statuses": {503: 7}}
    gone = {**one(0.0), "failed": True, "of": {503: {"count": 9}}, "unanswered": 1}
    found.stress["overload"] = [gone]
    report.show(found, report.console())
    said = capsys.readouterr().out
    assert "Weir, standard work had no answer as wanted in 1 rounds, but [{503: 7}]" in said
    # goodput is none then, which is worth knowing; a p99 of nothing is not
    assert "overload: goodput ÷ capacity: 0 (0 to 0)" in said
    assert "503 90.0%, no answer 10.0%" in said
    assert "p99 of admitted" not in said
    found.save(tmp_path / "a.json")
    compare.main([str(tmp_path / "a.json")] * 2)
    assert "0 of 2 ratios" in capsys.readouterr().out


def test_report_tells_ratio_with_spread_and_how_an_overload_was_answered(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(results([40, 50, 60], [100, 100, 100]), report.console())
    said = capsys.readouterr().out
    assert "0.5 (0.4 to 0.6)" in said
    assert "200 66.7%, 503 33.3%" in said
    assert "calm: p99 ÷ p50: 3 (3 to 3)" in said


def test_rows_are_told_beside_each_other_and_not_only_beside_the_bare_one(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, fewer, many = results([50, 50], [100, 100]), str(Load(256)), str(Load(1000))
    for row, rates in {"rejected": [60, 80], "echo": [200, 100], "blocked": [300, 200], "internal": [100, 110]}.items():
        found.rows[row] = {LOAD: [one(rps) for rps in rates]}
    found.rows[STANDARD] |= {fewer: [one(100), one(80)], many: [one(90), one(88)]}
    report.show(found, report.console())
    said = capsys.readouterr().out
    for line in ("rejected ÷ standard work, requests/s: 1.4 (1.2 to 1.6)",
                 "blocked at the edge ÷ aiohttp echo, requests/s: 1.75 (1.5 to 2)",
                 "internal publisher ÷ standard work over HTTP, requests/s: 2.1 (2 to 2.2)",
                 "standard work's policy ÷ a bare hop, CPU: 1 (1 to 1)",
                 "standard work, 1000 ÷ 256 connections, requests/s: 1 (0.9 to 1.1)"):
        assert line in said
    found.save(tmp_path / "a.json")
    compare.main([str(tmp_path / "a.json")] * 2)
    said = capsys.readouterr().out
    assert "internal publisher ÷ standard work over HTTP" in said
    assert "across loads" in said
