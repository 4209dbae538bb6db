"""What a stretch of usage events shows of its callers. Pure.

In:    usage events, each once.
Out:   `Row`s: what is to be remembered of whom, for which detector.
Never: a judgement; more callers or subjects than the bounds allow.

Two paces: who does what a detector counts is told at every turn; who merely calls is gathered, for most callers call
all the time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from services.analytics.detectors.look import TICK_MS, Detector, Sighting, caller
from services.analytics.detectors.registry import BY_REASON, DETECTORS, OF_CALLERS
from shared.contracts.usage import UsageEvent

MAX_CALLERS, MAX_SUBJECTS = 50_000, 5_000
_MAX_MARKS, _MAX_SAMPLES = 64, 3
_WEIGHING = tuple(detector for detector in DETECTORS if detector.weighs_calls)
_MINUTE_TICKS = 60_000 // TICK_MS
# tick, project, client, token, address
CallerKey = tuple[int, str, str, str | None, str | None]
Subject = tuple[str, str, str, str]


@dataclass(slots=True)
class Row:
    """What one process saw of one subject in one tick. `event`: one of those that showed it."""

    detector: Detector
    kind: str
    subject: str
    tick: int
    event: UsageEvent
    hits: int = 0
    calls: int = 0
    marks: set[str] = field(default_factory=set)
    samples: list[str] = field(default_factory=list)

    @property
    def project(self) -> str:
        """Whose caller it is; empty where nobody has that project."""
        return self.event.project

    def take(self, event: UsageEvent, mark: str | None, hits: int = 1) -> None:
        """Once more."""
        self.hits += hits
        if mark is not None and len(self.marks) < _MAX_MARKS:
            self.marks.add(mark)
        if len(self.samples) < _MAX_SAMPLES:
            self.samples.append(event.id)


class Sightings:
    """What was seen since the last turn."""

    def __init__(self) -> None:
        """Nothing."""
        self.callers: dict[CallerKey, list[int]] = {}
        self.firsts: dict[CallerKey, UsageEvent] = {}
        self.rows: dict[tuple[int, Subject], Row] = {}
        self.passed_over = 0

    def see(self, events: Iterable[UsageEvent]) -> None:
        """Written out in one loop: it runs for every request of the cluster."""
        callers, firsts = self.callers, self.firsts
        for event in events:
            key = (event.time // TICK_MS, event.project, event.client, event.token, event.address)
            count = callers.get(key)
            if count is not None:
                count[0] += 1
            elif len(callers) < MAX_CALLERS:
                callers[key] = [1]
                firsts[key] = event
            else:
                self.passed_over += 1
            if event.reason != "ok":
                for detector in BY_REASON.get(event.reason, ()):
                    self._note(detector, event)

    def _note(self, detector: Detector, event: UsageEvent) -> None:
        sighting = detector.sees(event)
        if sighting is None:
            return
        row = self._row(detector, event, sighting)
        if row is not None:
            row.take(event, sighting.mark)

    def _row(self, detector: Detector, event: UsageEvent, sighting: Sighting) -> Row | None:
        tick = event.time // TICK_MS
        key = tick, (detector.name, event.project, sighting.kind, sighting.subject)
        row = self.rows.get(key)
        if row is None:
            if len(self.rows) >= MAX_SUBJECTS:
                self.passed_over += 1
                return None
            row = self.rows[key] = Row(detector, sighting.kind, sighting.subject, tick, event)
        return row

    def weigh(self, noticed: Iterable[Subject]) -> None:
        """Put beside the hits of noticed subjects how often they called."""
        wanted = {(project, kind, subject) for _, project, kind, subject in noticed}
        wanted |= {(row.project, row.kind, row.subject) for row in self.rows.values() if row.detector.weighs_calls}
        known = set(noticed) | {key for _, key in self.rows}
        if not wanted:
            return
        for key, (count,) in self.callers.items():
            sighting = caller(self.firsts[key])
            if sighting is None or (key[1], sighting.kind, sighting.subject) not in wanted:
                continue
            for detector in _WEIGHING:
                if (detector.name, key[1], sighting.kind, sighting.subject) in known:
                    row = self._row(detector, self.firsts[key], sighting)
                    if row is not None:
                        row.calls += count


class Gathered:
    """Who called, over several turns."""

    def __init__(self) -> None:
        """Nobody."""
        self._counts: dict[CallerKey, int] = {}
        self._firsts: dict[CallerKey, UsageEvent] = {}
        self.passed_over = 0

    def take(self, seen: Sightings) -> None:
        """Add a turn, minute by minute."""
        for key, (count,) in seen.callers.items():
            minute = (key[0] // _MINUTE_TICKS * _MINUTE_TICKS, *key[1:])
            if minute in self._counts:
                self._counts[minute] += count
            elif len(self._counts) < MAX_CALLERS:
                self._counts[minute], self._firsts[minute] = count, seen.firsts[key]
            else:
                self.passed_over += count

    def rows(self) -> Iterator[Row]:
        """A row for each subject, minute and detector that looks at callers."""
        for detector in OF_CALLERS:
            rows: dict[tuple[int, str, str, str], Row] = {}
            for key, count in self._counts.items():
                event = self._firsts[key]
                sighting = detector.sees(event)
                if sighting is None:
                    continue
                at = key[0], event.project, sighting.kind, sighting.subject
                row = rows.get(at)
                if row is None:
                    row = rows[at] = Row(detector, sighting.kind, sighting.subject, event.time // TICK_MS, event)
                row.take(event, sighting.mark, count)
            yield from rows.values()
