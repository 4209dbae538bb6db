"""A trace as text: who called whom, when, for how long. Pure.

In:    spans with times in microseconds.
Out:   lines: bar, duration, service, indented name.
Never: a terminal.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_WIDTH = 40


def waterfall(spans: Sequence[Mapping[str, Any]]) -> list[str]:
    """Children under their parents, by start; a span whose parent is not there stands as a root."""
    if not spans:
        return ["no spans"]
    ordered = sorted(spans, key=lambda span: span["start_us"])
    known = {span["span_id"] for span in spans}
    children: dict[str, list[Mapping[str, Any]]] = {}
    for span in ordered:
        children.setdefault(span["parent_id"], []).append(span)
    begin = ordered[0]["start_us"]
    whole = max(1, max(span["end_us"] for span in spans) - begin)
    lines: list[str] = []
    drawn: set[str] = set()
    # spans that name each other as parents have no root; they follow, each as one
    roots = [span for span in ordered if span["parent_id"] not in known]
    for root in [*roots, *ordered]:
        waiting = [(root, 0)]
        while waiting:
            span, depth = waiting.pop()
            if span["span_id"] in drawn:
                continue
            drawn.add(span["span_id"])
            lines.append(_line(span, depth, begin, whole))
            waiting += [(child, depth + 1) for child in reversed(children.get(span["span_id"], []))]
    return lines


def _line(span: Mapping[str, Any], depth: int, begin: int, whole: int) -> str:
    start = (span["start_us"] - begin) * _WIDTH // whole
    length = max(1, (span["end_us"] - span["start_us"]) * _WIDTH // whole)
    bar = (" " * min(start, _WIDTH - 1) + "█" * length)[:_WIDTH].ljust(_WIDTH)
    took = f"{(span['end_us'] - span['start_us']) / 1000:9.2f} ms"
    mark = "  FAILED" if span["failed"] else ""
    queued = span["attributes"].get("weir.queue_us")
    wait = f"  (queued {int(queued) / 1000:.1f} ms)" if queued is not None else ""
    return f"|{bar}| {took}  {span['service']:<14} {'  ' * depth}{span['name']}{wait}{mark}"
