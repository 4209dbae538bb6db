"""Two runs, row by row: how much the ratio to the bare row has changed, and whether that is more than noise.

`python -m tests.bench.compare A B`, files of `.weir/bench`. A change is told as more or less when the ranges of all
rounds of both runs do not meet; of a hundred comparisons of equal things, about one does that by chance.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from tests.bench import report, stats
from tests.bench.results import FIGURES, NoResults, Results
from tests.bench.rows import BARE, ROWS
from tests.bench.stats import Change, Spread

# what else may differ without a word
_OWN = ("load_before", "commit", "seed")


class Line(NamedTuple):
    """One ratio in both runs."""

    load: str
    what: str
    before: Spread
    after: Spread
    change: Change


def lines(before: Results, after: Results) -> Iterator[Line]:
    """All ratios that both runs have."""
    for load in before.loads():
        if load not in after.loads():
            continue
        for row in ROWS:
            one, other = before.beside_bare(row, load), after.beside_bare(row, load)
            if row != BARE and one and other:
                for name, words in FIGURES.items():
                    yield _line(load, f"{row}: {words} ÷ bare", one[name], other[name])
        yield from _lines(load, before.between(load), after.between(load))
    yield from _lines("across loads", before.across(), after.across())
    yield from _lines("open loops", before.beyond(), after.beyond())


def _lines(load: str, before: Mapping[str, Spread], after: Mapping[str, Spread]) -> Iterator[Line]:
    for what, found in before.items():
        if what in after:
            yield _line(load, what, found, after[what])


def _line(load: str, what: str, before: Spread, after: Spread) -> Line:
    return Line(load, what, before, after, stats.change(before, after))


def differences(before: Results, after: Results) -> list[str]:
    """What differs but the code: each is a reason to doubt the comparison."""
    def differ(what: str, one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
        for name in {**one, **other}:
            if name not in _OWN and one.get(name) != other.get(name):
                yield f"{what} differs, {name}: {one.get(name)} and {other.get(name)}"
    return [*differ("machine", before.machine, after.machine), *differ("option", before.options, after.options)]


def main(arguments: list[str] | None = None) -> None:
    """Print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compare", description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args(arguments)
    try:
        before, after = Results.load(options.before), Results.load(options.after)
    except NoResults as exc:
        parser.error(str(exc))
    out = report.console()
    for name, results in (("A", before), ("B", after)):
        out.print(f"{name}: {report.machine(results)}", soft_wrap=True)
    for difference in differences(before, after):
        out.print(difference, soft_wrap=True)
    found = list(lines(before, after))
    for load in dict.fromkeys(line.load for line in found):
        table = Table("ratio", "A", "B", "change", "verdict", title=load, box=None, title_justify="left",
                      padding=(0, 2, 0, 0))
        for line in found:
            if line.load == load:
                table.add_row(line.what, str(line.before), str(line.after), str(line.change), line.change.verdict)
        out.print(table)
    beyond = [line for line in found if line.change.exceeds]
    out.print(f"{len(beyond)} of {len(found)} ratios have changed by more than noise")


if __name__ == "__main__":
    main()
