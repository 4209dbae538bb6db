"""Medians, spreads, ratios of one run, changes from one run to another. Pure.

In:    a figure of each round.
Out:   `Spread`, `Change`.
Never: a ratio of medians: a round is compared with itself, so what else the machine did in it meets both sides.
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

# with fewer rounds on either side, ranges that do not meet are chance too often (four and four: 3 in 100)
ENOUGH_ROUNDS = 4


class Spread(NamedTuple):
    """Median, least and most of so many rounds."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


class Change(NamedTuple):
    """From one run to another, as a share: 0.1 is ten percent more. `low` and `high` are the most that ranges allow."""

    median: float
    low: float
    high: float
    enough: bool

    @property
    def exceeds(self) -> bool:
        """Whether the ranges of the two runs do not meet, over enough rounds."""
        return self.enough and (self.low > 0 or self.high < 0)

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.enough:
            return "too few rounds"
        return ("more" if self.median > 0 else "less") if self.exceeds else "noise"

    def __str__(self) -> str:
        return f"{self.median:+.1%} ({self.low:+.1%} to {self.high:+.1%})"


def spread(values: Sequence[float]) -> Spread:
    """Of one figure, a value each round."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


def ratio(these: Sequence[float], those: Sequence[float]) -> Spread:
    """Round by round."""
    return spread([one / other for one, other in zip(these, those, strict=True)])


def change(before: Spread, after: Spread) -> Change:
    """Of a ratio, between two runs."""
    return Change(_more(before.median, after.median), _more(before.high, after.low), _more(before.low, after.high),
                  min(before.rounds, after.rounds) >= ENOUGH_ROUNDS)


def _more(before: float, after: float) -> float:
    if before:
        return after / before - 1
    return math.inf if after else 0.0
