"""Says on `weir.signals` when an allowance reaches a threshold.

In:    what has just been counted, changes of configuration.
Out:   signals.
Never: a threshold forgotten: what has been said is noted after it was said, so that a kill between the two says it
       twice, under the same key.

Reading the counters lags behind the ledger on purpose: many batches are looked at together.
"""

import asyncio
import logging
from collections.abc import Sequence

from services.analytics.allowance import Spending, Spot, news, signal
from services.analytics.fold import Folded
from shared.clock import Clock
from shared.contracts.config import Entity
from shared.kafka.faults import KafkaUnavailable, SendFailed
from shared.kafka.outbox import Outbox
from shared.names import actions, topics
from shared.runtime.tasks import Tasks
from shared.store.allowances import spent, spent_by, tell, told
from shared.store.redis import Store, StoreUnavailable

log = logging.getLogger(__name__)
_REST_S, _RETRY_S = 0.1, 1.0
_KEEP_S = 86_400


class Thresholds:
    """Looks at what has been touched, in the background."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock, tasks: Tasks, spending: Spending) -> None:
        """`spending` is fed here, too."""
        self._store, self._outbox, self._clock, self._tasks = store, outbox, clock, tasks
        self._spending = spending
        # None: all subjects
        self._touched: dict[Spot, set[str] | None] = {}
        self._work = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with all there is: what was counted last before a kill may not have been said."""
        self._loop = self._tasks.spawn(self._run(), "allowance thresholds")

    async def stop(self) -> None:
        """What is not said yet is said after the next start."""
        await self._tasks.end(self._loop)

    def take(self, entities: Sequence[Entity]) -> None:
        """Configuration: an amount may be another one now."""
        now_ms = self._clock.now_ms()
        for project in self._spending.take(entities):
            self._touched.update(dict.fromkeys(self._spending.spots(project, now_ms)))
        if self._touched:
            self._work.set()

    def listen(self, folded: Folded) -> None:
        """Usage that has been counted."""
        for spot, subjects in self._spending.touched(folded).items():
            known = self._touched.setdefault(spot, set())
            if known is not None:
                known |= subjects
        if self._touched:
            self._work.set()

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            touched, self._touched = self._touched, {}
            try:
                while touched:
                    spot, subjects = next(iter(touched.items()))
                    await self._look(spot, subjects)
                    del touched[spot]
            except (StoreUnavailable, SendFailed, KafkaUnavailable) as exc:
                log.warning("thresholds of allowances wait: %s", exc, extra={"action": actions.STORE_AWAY})
                for spot, subjects in touched.items():
                    later = self._touched.get(spot, subjects)
                    self._touched[spot] = None if later is None or subjects is None else later | subjects
                self._work.set()
                await asyncio.sleep(_RETRY_S)
            await asyncio.sleep(_REST_S)

    async def _look(self, spot: Spot, subjects: set[str] | None) -> None:
        now_ms = self._clock.now_ms()
        key = self._spending.key(spot)
        if key is None or spot.period[1] <= now_ms:
            return
        amounts = await (spent(self._store, key) if subjects is None else spent_by(self._store, key, sorted(subjects)))
        said = await told(self._store, key)
        for grant in self._spending.grants(spot, amounts):
            found = news(grant, amounts[grant.subject], said.get(grant.subject, ""))
            if found is not None:
                threshold, text = found
                made = signal(spot.project, grant, amounts[grant.subject], threshold, now_ms)
                await self._outbox.send(topics.SIGNALS, made.to_value(), [], key=made.key, partition=0)
                await tell(self._store, key, grant.subject, text, grant.end // 1000 + _KEEP_S)
