"""Look for abuse in what has been counted.

In:    usage events, each once; the memory that all processes share; the signals in force.
Out:   signals on `weir.signals`.
Never: a part of counting: what cannot be remembered in time is passed over, and said in a metric. A signal that
       replaces one of a person, or a stronger one.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from services.analytics.abuse_book import AbuseBook
from services.analytics.detectors.look import TICK_MS, Finding, Look, Span
from services.analytics.fold import Folded
from services.analytics.recall import Recall
from services.analytics.sightings import Gathered, Row, Sightings, Subject
from services.analytics.verdict import says_more, signal_of
from shared.clock import Clock
from shared.contracts.signal import EVERYWHERE, Signal
from shared.contracts.usage import UsageEvent
from shared.decision.signals import SignalBoard
from shared.kafka.faults import SendFailed
from shared.kafka.outbox import Outbox
from shared.names import actions, topics
from shared.runtime.tasks import Tasks
from shared.store.redis import StoreUnavailable
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
TURN_S = 1.0
_GATHER_TURNS = 5
# what is older is history, and nobody to act upon
_OLD_TICKS = 600_000 // TICK_MS
_AHEAD_TICKS = 60_000 // TICK_MS
_MAX_NOTICED = 20_000
_JUST_NOW_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchParts:
    """What the watch works with; built in `wire.py`."""

    clock: Clock
    book: AbuseBook
    board: SignalBoard
    recall: Recall
    outbox: Outbox
    tasks: Tasks
    metrics: Metrics


class Watch:
    """One per process; processes meet in the memory that they share."""

    def __init__(self, parts: WatchParts) -> None:
        """Nothing seen."""
        self._parts = parts
        self._seen, self._gathered = Sightings(self._exempt), Gathered(self._exempt)
        # whose calls have to be weighed, and the tick at which they last did what counts
        self._noticed: dict[Subject, int] = {}
        self._turn = 0
        self._loop: asyncio.Task[None] | None = None

    def see(self, folded: Folded) -> None:
        """Take events that have just been counted, so that none comes twice."""
        self._seen.see(folded.requests)

    def hear(self, signals: Sequence[Signal]) -> None:
        """What the topic of signals says: whoever is let in again begins anew."""
        self._parts.board.take(signals)
        just_now = self._parts.clock.now_ms() - _JUST_NOW_MS
        for signal in signals:
            # at the start the topic tells what was long ago
            if signal.action == "unblock" and signal.time > just_now:
                self._parts.tasks.spawn(self._forget(signal), "forget a subject")

    async def start(self) -> None:
        """Look from now on."""
        self._loop = self._parts.tasks.spawn(self._go_on(), "watch")

    async def stop(self) -> None:
        """Look once more, then no longer."""
        await self._parts.tasks.end(self._loop)
        await self.turn()

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(TURN_S)
            await self.turn()

    async def turn(self) -> None:
        """Remember what was seen since the last turn, and judge it."""
        seen, self._seen = self._seen, Sightings(self._exempt)
        seen.weigh(self._noticed)
        passed_over = seen.passed_over + self._gathered.take(seen)
        self._turn += 1
        rows = list(seen.rows.values())
        if self._turn % _GATHER_TURNS == 0:
            for part in self._gathered.rows(self._parts.clock.now_ms() // TICK_MS):
                rows += part
                await asyncio.sleep(0)
        if passed_over:
            self._parts.metrics.sightings_passed_over.inc(by=passed_over)
        if not rows:
            return
        try:
            await self._judge(self._watched(rows))
        except StoreUnavailable as exc:
            self._parts.metrics.sightings_passed_over.inc(by=len(rows))
            log.warning("%d sightings are lost: %s", len(rows), exc, extra={"action": actions.STORE_AWAY})

    def _exempt(self, event: UsageEvent) -> bool:
        """Asked for each event: of one client, or one token, some calls may come from a network that is exempt."""
        return self._parts.book.of(event.project).exempts(event.client, event.address)

    def _watched(self, rows: Sequence[Row]) -> list[tuple[Row, Span]]:
        """Those that may be found; whoever was noticed is weighed from now on."""
        now_tick = self._parts.clock.now_ms() // TICK_MS
        found: list[tuple[Row, Span]] = []
        for row in rows:
            watched = self._parts.book.of(row.project)
            detector = row.detector
            span = detector.span(watched.abuse)
            too_old = now_tick - row.tick > _OLD_TICKS and not span.busiest
            if (too_old or row.tick > now_tick + _AHEAD_TICKS or not detector.settings(watched.abuse).enabled
                    or watched.exempts(row.event.client, row.event.address)):
                continue
            found.append((row, span))
            if detector.weighs_calls and row.hits:
                self._noticed[detector.name, row.project, row.kind, row.subject] = row.tick
        self._forget_the_quiet(now_tick)
        return found

    def _forget_the_quiet(self, now_tick: int) -> None:
        if len(self._noticed) > _MAX_NOTICED or self._turn % _GATHER_TURNS == 0:
            kept = sorted(self._noticed.items(), key=lambda item: -item[1])[:_MAX_NOTICED // 2]
            self._noticed = {subject: tick for subject, tick in kept if now_tick - tick <= _OLD_TICKS}

    async def _judge(self, rows: Sequence[tuple[Row, Span]]) -> None:
        looks = await self._parts.recall.add(rows)
        now_tick = self._parts.clock.now_ms() // TICK_MS
        for (row, _), look in zip(rows, looks, strict=True):
            finding = row.detector.judge(look, self._parts.book.of(row.project).abuse)
            if finding is not None and now_tick - row.tick <= _OLD_TICKS:
                await self._say(row, look, finding)

    async def _say(self, row: Row, look: Look, finding: Finding) -> None:
        parts, now_ms = self._parts, self._parts.clock.now_ms()
        signal = signal_of(row, look, finding, self._parts.book.of(row.project).abuse, now_ms)
        if not says_more(signal, parts.board.of(signal.project, signal.kind, signal.subject, now_ms), now_ms):
            return
        # another process may find the same at the same moment
        if not await parts.recall.first_to_say(row.project, row.kind, row.subject, signal.action, now_ms):
            return
        parts.board.take([signal])
        parts.metrics.findings.inc(row.project, signal.detector, signal.action)
        log.warning("%s %s: %s", signal.kind, signal.subject, signal.reason,
                    extra={"action": actions.ABUSE_FOUND, "project": signal.project, "detector": signal.detector})
        try:
            await parts.outbox.send(topics.SIGNALS, signal.to_value(), [], key=signal.key, partition=0)
        except SendFailed as exc:
            parts.tasks.fail(exc)

    async def _forget(self, signal: Signal) -> None:
        project = "" if signal.project == EVERYWHERE else signal.project
        for subject in [one for one in self._noticed if one[1:] == (project, signal.kind, signal.subject)]:
            del self._noticed[subject]
        try:
            await self._parts.recall.forget(project, signal.kind, signal.subject, self._parts.clock.now_ms())
        except StoreUnavailable as exc:
            log.warning("what was seen of %s %s before it was let in counts on: %s", signal.kind, signal.subject, exc,
                        extra={"action": actions.STORE_AWAY})
