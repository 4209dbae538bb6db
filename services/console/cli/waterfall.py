"""A trace as lines: who called whom, when, for how long, what waited and what was done. Pure.

In:    spans with times in microseconds.
Out:   lines of styled pieces: bar, duration, service, indented name; then what the request has waited for.
Never: a terminal; `output.py` has that.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.console.cli.critical_path import QUEUE, Stretch, critical_path

Span = Mapping[str, Any]
# text and style
Piece = tuple[str, str]
_WIDTH = 40
WAITED, WORKED, CRITICAL = "░", "▒", "█"
LEGEND = f"{CRITICAL} on the critical path   {WORKED} beside it   {WAITED} waited in a topic"
_COLOURS = {"weir-ingress": "cyan", "weir-policy": "magenta", "weir-executor": "green", "weir-analytics": "blue"}
_MOST = 6


def waterfall(spans: Sequence[Span]) -> list[list[Piece]]:
    """Children under their parents, by start; a span whose parent is not there stands as a root."""
    if not spans:
        return [[("no spans", "")]]
    begin = min(span["start_us"] for span in spans)
    whole = max(1, max(span["end_us"] for span in spans) - begin)
    critical: dict[str, list[Stretch]] = {}
    for stretch in critical_path(spans):
        critical.setdefault(stretch.span_id, []).append(stretch)
    return [_line(span, depth, (begin, whole), critical.get(span["span_id"], ())) for span, depth in _in_order(spans)]


def summary(spans: Sequence[Span]) -> list[list[Piece]]:
    """What the request has waited for, the longest first."""
    by_id = {span["span_id"]: span for span in spans}
    sums: dict[tuple[str, str, str], int] = {}
    for stretch in critical_path(spans):
        span = by_id[stretch.span_id]
        queued = stretch.kind == QUEUE
        name = str(span["name"]).removeprefix("send ") if queued else span["name"]
        key = (stretch.kind, name, "" if queued else span["service"])
        sums[key] = sums.get(key, 0) + stretch.took_us
    whole = sum(sums.values())
    waited = sum(took for (kind, _, _), took in sums.items() if kind == QUEUE)
    lines: list[list[Piece]] = [[(f"critical path: {_ms(whole)}, of it {_ms(waited)} in topics, {_ms(whole - waited)} "
                                  "at work", "bold")]]
    for (kind, name, service), took in sorted(sums.items(), key=lambda item: -item[1])[:_MOST]:
        lines.append([(f"  {took * 100 // max(1, whole):3d} %  {took / 1000:9.2f} ms  ", ""),
                      (f"{kind:<6}", "yellow" if kind == QUEUE else ""),
                      (f"{name}", _COLOURS.get(service, "")), (f"  ({service})" if service else "", "dim")])
    return lines


def _in_order(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    ordered = sorted(spans, key=lambda span: int(span["start_us"]))
    known = {span["span_id"] for span in spans}
    children: dict[str, list[Span]] = {}
    for span in ordered:
        children.setdefault(span["parent_id"], []).append(span)
    drawn: set[str] = set()
    # spans that name each other as parents have no root; they follow, each as one
    for root in [*(span for span in ordered if span["parent_id"] not in known), *ordered]:
        waiting = [(root, 0)]
        while waiting:
            span, depth = waiting.pop()
            if span["span_id"] in drawn:
                continue
            drawn.add(span["span_id"])
            yield span, depth
            waiting += [(child, depth + 1) for child in reversed(children.get(span["span_id"], []))]


def _line(span: Span, depth: int, frame: tuple[int, int], critical: Sequence[Stretch]) -> list[Piece]:
    colour = _COLOURS.get(span["service"], "white")
    pieces: list[Piece] = [("|", "dim"), (_bar(span, frame, critical), "red" if span["failed"] else colour),
                           ("| ", "dim"), (f"{(span['end_us'] - span['start_us']) / 1000:9.2f} ms  ", ""),
                           (f"{span['service']:<14} ", colour), (f"{'  ' * depth}{span['name']}", "")]
    queued = span["attributes"].get("weir.queue_us")
    if queued is not None:
        pieces.append((f"  (queued {int(queued) / 1000:.1f} ms)", "yellow"))
    tries = sum(event["name"] == "retry" for event in span.get("events", ()))
    if tries:
        pieces.append((f"  ({tries + 1} tries)", "yellow"))
    if span["failed"]:
        pieces.append((f"  FAILED {span.get('message', '')}".rstrip(), "bold red"))
    return pieces


def _bar(span: Span, frame: tuple[int, int], critical: Sequence[Stretch]) -> str:
    begin, whole = frame
    queued = int(span["attributes"].get("weir.queue_us") or 0)

    def cells(start_us: int, end_us: int) -> range:
        first = min(_WIDTH - 1, max(0, (start_us - begin) * _WIDTH // whole))
        return range(first, max(first + 1, min(_WIDTH, -(-(end_us - begin) * _WIDTH // whole))))

    bar = [" "] * _WIDTH
    if queued:
        for cell in cells(span["start_us"] - queued, span["start_us"]):
            bar[cell] = WAITED
    for cell in cells(span["start_us"], span["end_us"]):
        bar[cell] = WORKED
    for stretch in critical:
        if stretch.kind != QUEUE:
            for cell in cells(max(stretch.start_us, span["start_us"]), min(stretch.end_us, span["end_us"])):
                bar[cell] = CRITICAL
    return "".join(bar)


def _ms(took_us: int) -> str:
    return f"{took_us / 1000:.2f} ms"
