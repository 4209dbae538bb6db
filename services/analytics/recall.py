"""What all processes together remember of subjects, in Redis.

In:    rows of one process.
Out:   a `Look` per row: the detector's window, with what others have added.
Never: more than a few dozen numbers and marks of a subject, or for longer than its window.

Partitions of the usage topic are not keyed by caller, so every process sees a part of everybody. A row is what one
process saw of one subject in a tick, so what this costs depends on how many misbehave, not on how many call.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from services.analytics.detectors.look import TICK_MS, Look, Span
from services.analytics.detectors.registry import DETECTORS
from services.analytics.sightings import Row
from shared.contracts.signal import IN_FORCE, Action
from shared.store.redis import Store

# the store does nothing else while it takes so many, and calls wait 50 ms for it at the most
_CHUNK = 100
_MOMENT_MS = 5_000
_MINUTE_MS = 60_000


class Recall:
    """The memory of all detectors."""

    def __init__(self, store: Store) -> None:
        """Reads nothing yet."""
        self._store = store

    async def add(self, rows: Sequence[tuple[Row, Span]]) -> list[Look]:
        """Add rows; what is known then. Raises StoreUnavailable."""
        looks: list[Look] = []
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start:start + _CHUNK]
            answers = await self._store.run("sightings", [], [orjson.dumps([_wire(row, span) for row, span in chunk])])
            looks += [_look(answer, row, span) for answer, (row, span) in zip(answers, chunk, strict=True)]
        return looks

    async def forget(self, project: str, kind: str, subject: str, now_ms: int) -> None:
        """Begin anew with a subject, about whom all may be said again. Raises StoreUnavailable."""
        keys = [_key(detector.name, project, kind, subject) for detector in DETECTORS if detector.name != "rate-jump"]
        said = (_said(project, kind, subject, action, now_ms) for action in IN_FORCE)
        await self._store.command("DEL", *keys, *(f"{key}:marks" for key in keys), *said)

    async def first_to_say(self, project: str, kind: str, subject: str, action: Action, now_ms: int) -> bool:
        """Whether no other process says the same at this moment. Raises StoreUnavailable."""
        name = _said(project, kind, subject, action, now_ms)
        return await self._store.command("SET", name, "1", "NX", "PX", 2 * _MOMENT_MS) is not None


def _key(detector: str, project: str, kind: str, subject: str) -> str:
    return f"weir:abuse:{detector}:{project}:{kind}:{subject}"


def _said(project: str, kind: str, subject: str, action: Action, now_ms: int) -> str:
    return f"weir:abuse:said:{project}:{kind}:{subject}:{action}:{now_ms // _MOMENT_MS}"


def _slice(row: Row, span: Span) -> int:
    return row.tick * TICK_MS // span.slice_ms


def _wire(row: Row, span: Span) -> list[Any]:
    keep_s = span.slice_ms * (span.slices + 1) // 1000
    return [_key(row.detector.name, row.project, row.kind, row.subject), _slice(row, span), span.slices, keep_s,
            row.hits, row.calls, row.tick * TICK_MS // _MINUTE_MS if span.busiest else -1, sorted(row.marks),
            row.samples[0] if row.samples else ""]


def _look(answer: Any, row: Row, span: Span) -> Look:
    fields, marks, some = answer
    newest = _slice(row, span)
    oldest = newest - span.slices + 1
    hits, calls, samples, minutes = _by_letter(fields)
    if span.busiest:
        # what lies before the first minute that is known was not quiet, it is not known
        oldest = max(oldest, min(hits, default=newest))
        calls = {newest: minutes.get(row.tick * TICK_MS // _MINUTE_MS, b"0")}
    slices = range(oldest, newest + 1)
    found = [*row.samples, *(samples[one].decode() for one in reversed(slices) if one in samples)]
    return Look(
        hits=tuple(int(hits.get(one, 0)) for one in slices), calls=tuple(int(calls.get(one, 0)) for one in slices),
        marks=int(marks), shown=tuple(sorted(mark.decode() for mark in some)), samples=tuple(_once(found)))


def _by_letter(fields: Sequence[bytes]) -> tuple[dict[int, bytes], ...]:
    found: dict[str, dict[int, bytes]] = {"h": {}, "c": {}, "i": {}, "m": {}}
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        found[chr(name[0])][int(name[1:])] = value
    return found["h"], found["c"], found["i"], found["m"]


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))[:10]
