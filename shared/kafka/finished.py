"""What is finished above a committed offset, as a text that fits beside it in the group's own topic.

In:    the open offsets of a partition, where its reader stands.
Out:   the text that is committed with the offset; what such a text says.
Never: Kafka, a clock; a record taken for finished that is not.

One long execution keeps its partition's offset down. Without this, all that was finished behind it would be done again
after a crash. The open offsets are few and what is finished is much, so the text names the open ones. A partition that
lost its newest records (an unclean election, a machine without power) gives their offsets to others: whatever was
written later than anything that the text knows of is none of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

# brokers refuse more than 4,096 bytes (`offset.metadata.max.bytes`)
MOST_CHARACTERS = 4_000
_MARK = "finished"


@dataclass(frozen=True, slots=True)
class Finished:
    """All offsets of a partition below `end` are finished, apart from `still_open`; `newest_ms`: of their records."""

    end: int
    still_open: frozenset[int]
    newest_ms: int

    def has(self, offset: int, written_ms: int) -> bool:
        """Whether this record is one of them."""
        return offset < self.end and offset not in self.still_open and written_ms <= self.newest_ms


def text_of(end: int, still_open: Iterable[int], newest_ms: int) -> str:
    """As `read` reads it; if there are too many open offsets for one text, what is finished behind the last of them
    is left out. The first open offset as it is, each other as its distance from the one before."""
    text, size, last = list[str](), len(f"{_MARK}  {end} {newest_ms}"), 0
    for offset in sorted(still_open):
        part = str(offset - last)
        size += len(part) + 1
        if size > MOST_CHARACTERS:
            end = offset
            break
        text.append(part)
        last = offset
    return " ".join((_MARK, str(end), str(newest_ms), *text))


def read(text: str | None) -> Finished | None:
    """What a text says; None if it is none of ours: any client may write anything there."""
    mark, *numbers = (text or "").split(" ")
    # more digits than any offset has would take their time to read
    if mark != _MARK or len(numbers) < 2 or not all(part.isdecimal() and len(part) < 20 for part in numbers):
        return None
    end, newest_ms, *distances = map(int, numbers)
    still_open, last = set[int](), 0
    for distance in distances:
        last += distance
        still_open.add(last)
    return Finished(end, frozenset(still_open), newest_ms)
