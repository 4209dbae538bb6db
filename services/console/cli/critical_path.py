"""What a request has waited for, moment by moment. Pure.

In:    the spans of a trace, with times in microseconds.
Out:   stretches of time, one after the other, each with the span that it belongs to, and whether something was done
       in it or a record waited.
Never: a stretch that belongs to two spans: whatever ended last is what everything else waited for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Span = Mapping[str, Any]
WORK, QUEUE = "work", "queue"


@dataclass(frozen=True, slots=True)
class Stretch:
    """`kind`: work, or queue: the time between sending and processing. Microseconds."""

    span_id: str
    kind: str
    start_us: int
    end_us: int

    @property
    def took_us(self) -> int:
        """How long."""
        return self.end_us - self.start_us


class _Tree:
    def __init__(self, spans: Sequence[Span]) -> None:
        self.children: dict[str, list[Span]] = {}
        for span in spans:
            self.children.setdefault(span["parent_id"], []).append(span)
        self._ends: dict[str, int] = {}

    def end_of(self, span: Span) -> int:
        """When it and everything below it had ended."""
        known = self._ends.get(span["span_id"])
        if known is None:
            # a circle of parents ends here
            self._ends[span["span_id"]] = span["end_us"]
            known = max([span["end_us"], *map(self.end_of, self.children.get(span["span_id"], ()))])
            self._ends[span["span_id"]] = known
        return known


def critical_path(spans: Sequence[Span]) -> list[Stretch]:
    """From the beginning of the first root to its end; of one that outlasts its root, to the end of all."""
    known = {span["span_id"] for span in spans}
    roots = sorted((span for span in spans if span["parent_id"] not in known), key=lambda span: int(span["start_us"]))
    if not roots:
        return []
    root, tree = roots[0], _Tree(spans)
    until = root["end_us"] if root.get("kind") == "server" else tree.end_of(root)
    found: list[Stretch] = []
    _walk(tree, root, until, found)
    return [stretch for stretch in reversed(found) if stretch.took_us > 0]


def _walk(tree: _Tree, span: Span, until: int, found: list[Stretch]) -> int:
    """Backwards: what ended last before `until`, then what ended last before that had begun. How far back it came."""
    at = until
    for child in sorted(tree.children.get(span["span_id"], ()), key=tree.end_of, reverse=True):
        end = tree.end_of(child)
        # what ran beside the chosen one held nobody up; only at the end itself something may go on beyond it
        if child["start_us"] >= at or end <= span["start_us"] or (end > at and at < until):
            continue
        _own(span, min(end, at), at, found)
        at = _walk(tree, child, min(end, at), found)
    _own(span, span["start_us"], at, found)
    return min(at, int(span["start_us"]))


def _own(span: Span, start: int, end: int, found: list[Stretch]) -> None:
    if end > start:
        found.append(Stretch(span["span_id"], QUEUE if span.get("kind") == "producer" else WORK, start, end))
