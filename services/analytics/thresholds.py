"""Says on `weir.signals` when an allowance reaches a threshold.

In:    what has just been counted, changes of configuration.
Out:   signals; `herald.py` tells webhooks of them.
Never: a threshold forgotten: what has been said is noted after it was said, so that a kill between the two says it
       twice, under the same key.

Reading the counters lags behind the ledger on purpose: many batches are looked at together. What fails is looked at
again later.
"""

import asyncio
import logging
from collections.abc import Sequence

from services.analytics.allowance import Spending, Spot, news, signal
from services.analytics.fold import Folded
from shared.clock import Clock
from shared.contracts.config import Entity
from shared.decision.allowances import Grant
from shared.kafka.faults import KafkaUnavailable, SendFailed
from shared.kafka.outbox import Outbox
from shared.names import actions, topics
from shared.runtime.tasks import Tasks
from shared.store.allowances import claim, let_go, spent, tell, told
from shared.store.redis import Store, StoreUnavailable

log = logging.getLogger(__name__)
_PAUSE_S = 0.1
_FIRST_REST_MS, _LONGEST_REST_MS = 1_000, 60_000
_KEEP_S = 86_400
# longer than the broker may take
_CLAIM_MS = 15_000
# what was spent at the end of a period is counted after it, and later where the store or this process was away
_LATE_MS = 3_600_000


class SaidElsewhere(Exception):
    """Another process is saying it."""


class Thresholds:
    """Looks at what has been touched, in the background."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock, tasks: Tasks, spending: Spending) -> None:
        """`spending`: the allowances in force; fed here."""
        self._store, self._outbox, self._clock, self._tasks = store, outbox, clock, tasks
        self._spending = spending
        # None: all subjects
        self._touched: dict[Spot, set[str] | None] = {}
        # how often it has failed, and until when it rests, by the clock that never goes back
        self._resting: dict[Spot, tuple[int, int]] = {}
        self._work = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with all there is: what was counted last before a kill may not have been said."""
        self._loop = self._tasks.spawn(self._run(), "thresholds")

    async def stop(self) -> None:
        """What is not said yet is said after the next start."""
        await self._tasks.end(self._loop)

    def take(self, entities: Sequence[Entity]) -> None:
        """Configuration: an amount may be another one now."""
        now_ms = self._clock.now_ms()
        for project in self._spending.take(entities):
            self._touched.update(dict.fromkeys(self._spending.spots(project, now_ms)))
        self._wake()

    def listen(self, folded: Folded) -> None:
        """Usage that has been counted."""
        for spot, subjects in self._spending.touched(folded).items():
            self._touch(spot, subjects)
        self._wake()

    def _touch(self, spot: Spot, subjects: set[str] | None) -> None:
        known = self._touched.get(spot, set())
        self._touched[spot] = None if known is None or subjects is None else known | subjects

    def _wake(self) -> None:
        if self._touched:
            self._work.set()

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            now_us = self._clock.elapsed_us()
            for spot in list(self._touched):
                if spot not in self._resting or self._resting[spot][1] <= now_us:
                    await self._try(spot, self._touched.pop(spot))
            self._wake()
            await asyncio.sleep(_PAUSE_S)

    async def _try(self, spot: Spot, subjects: set[str] | None) -> None:
        try:
            await self._look(spot, subjects)
            self._resting.pop(spot, None)
        except SaidElsewhere:
            self._resting[spot] = 0, self._clock.elapsed_us() + _FIRST_REST_MS * 1_000
            self._touch(spot, subjects)
        except (StoreUnavailable, SendFailed, KafkaUnavailable) as exc:
            tried = self._resting.get(spot, (0, 0))[0] + 1
            rest_ms = min(_FIRST_REST_MS << min(tried - 1, 10), _LONGEST_REST_MS)
            self._resting[spot] = tried, self._clock.elapsed_us() + rest_ms * 1_000
            self._touch(spot, subjects)
            log.warning("allowance %s of project %s: what it has reached is not said, again in %d ms: %s", spot.label,
                        spot.project, rest_ms, exc, extra={"action": actions.THRESHOLD_WAITS})

    async def _look(self, spot: Spot, subjects: set[str] | None) -> None:
        one = self._spending.at(spot)
        if one is None or spot.period[1] + _LATE_MS <= self._clock.now_ms() or not one.allowance.thresholds:
            return
        key = one.key(spot.period[0])
        amounts = await spent(self._store, key, None if subjects is None else sorted(subjects))
        known = await told(self._store, key, list(amounts))
        for subject, amount in amounts.items():
            grant = self._spending.grant(spot, one, subject)
            if news(grant, amount, known[subject]) is not None:
                await self._say(spot.project, grant, amount)

    async def _say(self, project: str, grant: Grant, amount: int) -> None:
        """Processes count the same amount: one of them speaks, the others look again whether it has."""
        if not await claim(self._store, grant.key, grant.subject, _CLAIM_MS):
            raise SaidElsewhere("another process is about to say it")
        try:
            known = await told(self._store, grant.key, [grant.subject])
            found = news(grant, amount, known[grant.subject])
            if found is None:
                return
            threshold, text = found
            said = signal(project, grant, amount, threshold, self._clock.now_ms())
            await self._outbox.send(topics.SIGNALS, said.to_value(), [], key=said.key, partition=0)
            await tell(self._store, grant.key, grant.subject, text, grant.end // 1000 + _KEEP_S)
        finally:
            await let_go(self._store, grant.key, grant.subject)
