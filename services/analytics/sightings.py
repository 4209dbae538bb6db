"""What a stretch of usage events shows of its callers. Pure.

In:    usage events, each once.
Out:   `Row`s: what is to be remembered of whom, for which detector.
Never: a judgement; more callers or subjects than the bounds allow.

Two paces: who does what a detector counts is told at every turn; who merely calls, and from where, is gathered, for
most callers call all the time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from services.analytics import loops
from services.analytics.detectors.look import TICK_MS, Detector, Sighting, caller
from services.analytics.detectors.registry import BY_REASON, DETECTORS, OF_CALLERS, OF_PLACES
from shared.contracts.usage import UsageEvent
from shared.names.reasons import Reason

BLOCKED = str(Reason.BLOCKED)
MAX_CALLERS, MAX_PLACES, MAX_SUBJECTS = 20_000, 20_000, 2_000
_MAX_MARKS, _MAX_SAMPLES = 64, 3
# a place that is seen all the time is told no more often: the shortest window is a little longer
_TELL_TICKS = 4
_MANY_CALLS = 50
_PART = 500
_WEIGHING = tuple(detector for detector in DETECTORS if detector.weighs_calls)
# calls that a detector looks at, or that none may: all others merely count
_NOTED = frozenset((BLOCKED, *BY_REASON))
_MINUTE_TICKS = 60_000 // TICK_MS
# tick, project, client, the address of a caller that is no client
CallerKey = tuple[int, str, str, str | None]
# project, token, address
Place = tuple[str, str, str | None]
Subject = tuple[str, str, str, str]
Exempt = Callable[[UsageEvent], bool]


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


def _nobody(_: UsageEvent) -> bool:
    return False


class Sightings:
    """What was seen since the last turn."""

    def __init__(self, exempt: Exempt = _nobody) -> None:
        """Nothing. `exempt`: whether who made a call is never found."""
        self._exempt = exempt
        self.callers: dict[CallerKey, list[int]] = {}
        self.firsts: dict[CallerKey, UsageEvent] = {}
        self.places: dict[Place, UsageEvent] = {}
        self.rows: dict[tuple[int, Subject], Row] = {}
        self.passed_over = 0

    def see(self, events: list[UsageEvent]) -> None:
        """Take a stretch of events."""
        if loops.BUILT:
            loops.see(events, self.callers, self.places, _NOTED, TICK_MS, lambda event: self._see_each((event,)))
        else:
            self._see_each(events)

    def _see_each(self, events: Iterable[UsageEvent]) -> None:
        """Written out in one loop, which `quick.c` has as well for calls that merely count, of known callers."""
        callers, places = self.callers, self.places
        for event in events:
            if event.reason == BLOCKED:
                # whoever is kept out cannot do more, and must not become used to it
                continue
            project, client = event.project, event.client
            key = (event.time // TICK_MS, project, client, None if client else event.address)
            count = callers.get(key)
            if count is not None:
                count[0] += 1
            else:
                self._first(key, event)
            if event.token:
                place = (project, event.token, event.address)
                if place not in places and len(places) < MAX_PLACES:
                    places[place] = event
            if event.reason != "ok":
                for detector in BY_REASON.get(event.reason, ()):
                    self._note(detector, event)

    def _first(self, key: CallerKey, event: UsageEvent) -> None:
        if len(self.callers) < MAX_CALLERS:
            self.callers[key], self.firsts[key] = [1], event
        else:
            self.passed_over += 1

    def _note(self, detector: Detector, event: UsageEvent) -> None:
        sighting = detector.sees(event)
        if sighting is None or self._exempt(event):
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
    """Who called, and from where, over several turns; what is told is forgotten here."""

    def __init__(self, exempt: Exempt = _nobody) -> None:
        """Nobody. `exempt`: whether who made a call is never found."""
        self._exempt = exempt
        self._counts: dict[CallerKey, int] = {}
        self._firsts: dict[CallerKey, UsageEvent] = {}
        self._places: dict[Place, UsageEvent] = {}
        # the tick at which a place was told last
        self._told: dict[Place, int] = {}

    def take(self, seen: Sightings) -> int:
        """Add a turn, minute by minute; how many calls found no room."""
        counts, passed_over = self._counts, 0
        for key, (count,) in seen.callers.items():
            minute = (key[0] // _MINUTE_TICKS * _MINUTE_TICKS, *key[1:])
            if minute in counts:
                counts[minute] += count
            elif len(counts) < MAX_CALLERS:
                counts[minute], self._firsts[minute] = count, seen.firsts[key]
            else:
                passed_over += count
        for place, event in seen.places.items():
            if (place not in self._places and len(self._places) < MAX_PLACES
                    and event.time // TICK_MS - self._told.get(place, 0) >= _TELL_TICKS):
                self._places[place] = event
        return passed_over

    def rows(self, now_tick: int) -> Iterator[list[Row]]:
        """A row for each subject, minute and detector that looks at callers, or at where they come from; part by part,
        so that others have their turn in between.

        Of callers those whose minute is over, and those who call a lot: most do not, and are told once a minute.
        """
        due = [key for key, count in self._counts.items()
               if count >= _MANY_CALLS or now_tick > key[0] + _MINUTE_TICKS]
        called = [(self._firsts.pop(key), self._counts.pop(key)) for key in due]
        for detector in OF_CALLERS:
            yield from _in_parts(detector, called)
        places, self._places = self._places, {}
        if len(self._told) > 2 * MAX_PLACES:
            self._told.clear()
        self._told.update((place, event.time // TICK_MS) for place, event in places.items())
        for detector in OF_PLACES:
            yield from _in_parts(detector, [(event, 1) for event in places.values() if not self._exempt(event)])


def _in_parts(detector: Detector, called: Sequence[tuple[UsageEvent, int]]) -> Iterator[list[Row]]:
    for start in range(0, len(called), _PART):
        yield list(_rows(detector, called[start:start + _PART]))


def _rows(detector: Detector, called: Iterable[tuple[UsageEvent, int]]) -> Iterable[Row]:
    rows: dict[tuple[int, str, str, str], Row] = {}
    for event, count in called:
        sighting = detector.sees(event)
        if sighting is None:
            continue
        tick = event.time // TICK_MS
        at = tick // _MINUTE_TICKS, event.project, sighting.kind, sighting.subject
        row = rows.get(at)
        if row is None:
            row = rows[at] = Row(detector, sighting.kind, sighting.subject, tick, event)
        row.take(event, sighting.mark, count)
    return rows.values()
