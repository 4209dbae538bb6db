"""Ratios are made round by round, and a change is one only when ranges do not meet."""

import pytest

from tests.bench import stats
from tests.bench.stats import Spread
from tests.bench.tally import Tally, at


def test_ratio_compares_each_round_with_itself() -> None:
    # the machine was half as fast in the second round: the ratio does not know it
    assert stats.ratio([50, 25, 55], [100, 50, 100]) == Spread(0.5, 0.5, 0.55, 3)
    with pytest.raises(ValueError, match="zip"):
        stats.ratio([1, 2], [1])


def test_spread_tells_median_least_and_most() -> None:
    assert stats.spread([3, 1, 2, 9]) == Spread(2.5, 1, 9, 4)


@pytest.mark.parametrize(("after", "verdict"), [
    (Spread(0.60, 0.56, 0.62, 5), "more"), (Spread(0.40, 0.38, 0.44, 5), "less"),
    (Spread(0.56, 0.54, 0.60, 5), "noise"), (Spread(0.60, 0.56, 0.62, 3), "too few rounds")])
def test_change_exceeds_the_noise_when_ranges_do_not_meet_over_enough_rounds(after: Spread, verdict: str) -> None:
    found = stats.change(Spread(0.5, 0.45, 0.55, 5), after)
    assert found.verdict == verdict
    assert found.exceeds == (verdict in ("more", "less"))
    assert found.median == pytest.approx(after.median / 0.5 - 1)
    assert (found.low, found.high) == (pytest.approx(after.low / 0.55 - 1), pytest.approx(after.high / 0.45 - 1))


def test_change_from_nothing_is_endless_and_from_nothing_to_nothing_none() -> None:
    nothing = Spread(0.0, 0.0, 0.0, 5)
    assert stats.change(nothing, Spread(0.5, 0.4, 0.6, 5)).verdict == "more"
    assert stats.change(Spread(0.5, 0.4, 0.6, 5), nothing).verdict == "less"
    assert stats.change(nothing, nothing).verdict == "noise"


def test_quantile_is_one_of_the_values() -> None:
    assert (at(range(100), 0.5), at(range(100), 0.99), at([7.0], 0.99)) == (50, 99, 7.0)


def test_request_without_an_answer_counts_as_slow_as_it_has_waited() -> None:
    tally = Tally(begin=100.0, end=110.0)
    found = tally.summary(waiting=[99.0, 101.0, 109.0], now=120.0)
    # the one that was due before the time that counts is no part of it
    assert (found["unanswered"], found["answers"]) == (2, 0)
    assert found["p99"] == pytest.approx(19_000)
