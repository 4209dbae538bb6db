"""Where the amounts come from: Redis, and this process's own memory while Redis is away.

In:    what all calls of a poll demand.
Out:   what is left of each amount, in one round trip.
Never: what the numbers mean; `shared/decision/checks/limits.py` has that.

While Redis is away, each instance admits its share of every limit from memory: callers keep getting answers, and the
metric says that limits are only approximately kept. After a failure Redis is left alone for a moment, so that a store
which hangs does not cost every poll its time-out; then the calls of one poll ask it anew, and the others do not wait.
"""

import logging
from collections.abc import Sequence

from shared.clock import Clock
from shared.decision.amounts import UNKNOWN, Amounts, Ask, Doubted, Outcome
from shared.names import actions
from shared.project.access.budgets import Kind
from shared.runtime.tasks import Tasks
from shared.store.amounts import given_back, spend
from shared.store.late import Late
from shared.store.redis import Store, StoreUnavailable
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
# no call runs for longer
_HELD_MS = 300_000


class Counters:
    """Amounts spent, by all instances together."""

    def __init__(self, store: Store, clock: Clock, metrics: Metrics, tasks: Tasks, *, instances: int,
                 rest_ms: int) -> None:
        """`instances`: how many share the limits while the store is away; `rest_ms`: how long it is left alone then."""
        self._store, self._clock, self._metrics, self._rest_us = store, clock, metrics, rest_ms * 1000
        self._late = Late(tasks)
        self._memory = Amounts(share=instances)
        # when to ask again, 0 while the store answers; whether somebody is asking
        self._again_us, self._probing = 0, False

    @property
    def alone(self) -> bool:
        """Whether the store has failed, and not answered since: this instance decides by itself, at once but for those
        calls by which it asks anew."""
        return self._again_us > 0

    async def spend(self, asks: Sequence[Ask]) -> list[list[Outcome]]:
        """Take what is demanded; a request takes all of it or nothing."""
        said = Outcome
        if not self._probing and self._clock.elapsed_us() >= self._again_us:
            self._probing = self.alone
            try:
                found = await spend(self._store, asks, self._clock.now_ms())
            except StoreUnavailable as exc:
                said, self._again_us = Doubted, self._clock.elapsed_us() + self._rest_us
                log.warning("limits are kept by this instance alone: %s", exc, extra={"action": actions.STORE_AWAY})
            else:
                self._again_us = 0
                return found
            finally:
                self._probing = False
        self._metrics.limits_local.inc(by=len(asks))
        outcomes = self._memory.spend(asks, self._clock.now_ms() * 1000)
        return [[UNKNOWN if demand.kind is Kind.ONCE else said(*outcome)
                 for demand, outcome in zip(ask.demands, one, strict=True)]
                for ask, one in zip(asks, outcomes, strict=True)]

    async def release(self, holder: str, keys: Sequence[str], once: str = "") -> None:
        """Give back what a call held that is not going to run."""
        # wherever it was taken: the store may have gone or come back since
        self._memory.release(holder, keys)
        await self._late.offer(given_back(self._store, holder, keys, once, _HELD_MS))
