"""What differs between two texts, as a unified diff. Pure.

In:    lines.
Out:   the lines of a diff, as `difflib.unified_diff` writes them.
Never: the square of what it gets: `difflib` looks through all that is left for each stretch that it finds, and 8,000
lines of a file took it 18 s.

Lines that stand once in each text, in the same order, hold it together; what is equal beside them is found from there.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

# lines of the one by those of the other, between two that are equal: so few are compared with each other
_MOST_COMPARED = 2_500
Lines = Sequence[str]
# first line in each, and how many
Block = tuple[int, int, int]


def unified(before: Lines, after: Lines, name_before: str, name_after: str) -> Iterator[str]:
    """Nothing where they are the same."""
    matcher = SequenceMatcher(None, "", "")
    # what it would look for itself
    blocks = [*_equal(before, after), (len(before), len(after), 0)]
    matcher.matching_blocks = blocks  # type: ignore[attr-defined]  # told by its source alone
    for number, group in enumerate(matcher.get_grouped_opcodes()):
        if not number:
            yield from (f"--- {name_before}\n", f"+++ {name_after}\n")
        yield f"@@ -{_range(group[0][1], group[-1][2])} +{_range(group[0][3], group[-1][4])} @@\n"
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (" " + line for line in before[i1:i2])
                continue
            yield from ("-" + line for line in before[i1:i2])
            yield from ("+" + line for line in after[j1:j2])


def _range(start: int, stop: int) -> str:
    """Lines count from 1; nothing stands behind the line before it."""
    length = stop - start
    return f"{start + 1}" if length == 1 else f"{start + bool(length)},{length}"


def _equal(before: Lines, after: Lines) -> Iterator[Block]:
    """All stretches that are equal, in order; two that touch are one."""
    found: Block = (0, 0, 0)
    for block in _pieces(before, after):
        if found[0] + found[2] == block[0] and found[1] + found[2] == block[1]:
            found = (found[0], found[1], found[2] + block[2])
        else:
            if found[2]:
                yield found
            found = block
    if found[2]:
        yield found


def _pieces(before: Lines, after: Lines) -> Iterator[Block]:
    i = j = 0
    for k, m in [*_held_together(before, after), (len(before), len(after))]:
        yield from _between(before, after, (i, k), (j, m))
        if k < len(before):
            yield k, m, 1
        i, j = k + 1, m + 1


def _held_together(before: Lines, after: Lines) -> list[tuple[int, int]]:
    """The most lines that stand once in each, and in the same order in both."""
    once = {line for line, count in Counter(before).items() if count == 1} & {
        line for line, count in Counter(after).items() if count == 1}
    at = {line: index for index, line in enumerate(after) if line in once}
    # by length of a row the last place of the one that ends first, and that pair; of each pair the one before it
    ends: list[int] = []
    last: list[tuple[int, int]] = []
    came: dict[tuple[int, int], tuple[int, int] | None] = {}
    for index, line in enumerate(before):
        if line not in once:
            continue
        pair, length = (index, at[line]), bisect_left(ends, at[line])
        ends[length:length + 1], last[length:length + 1] = [at[line]], [pair]
        came[pair] = last[length - 1] if length else None
    row, here = [], last[-1] if last else None
    while here is not None:
        row.append(here)
        here = came[here]
    return row[::-1]


def _between(before: Lines, after: Lines, of_before: tuple[int, int], of_after: tuple[int, int]) -> Iterator[Block]:
    """What is equal at the beginning and at the end of two stretches, and of short ones whatever is."""
    (i, i_end), (j, j_end) = of_before, of_after
    first = i
    while i < i_end and j < j_end and before[i] == after[j]:
        i, j = i + 1, j + 1
    if i > first:
        yield first, j - (i - first), i - first
    last = i_end
    while i < i_end and j < j_end and before[i_end - 1] == after[j_end - 1]:
        i_end, j_end = i_end - 1, j_end - 1
    if 0 < (i_end - i) * (j_end - j) <= _MOST_COMPARED:
        yield from ((i + match.a, j + match.b, match.size) for match in SequenceMatcher(
            None, before[i:i_end], after[j:j_end], autojunk=False).get_matching_blocks() if match.size)
    if last > i_end:
        yield i_end, j_end, last - i_end
