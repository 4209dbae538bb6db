"""Says when an allowance reaches a threshold: on `weir.signals`, and to webhooks.

In:    what has just been counted, changes of configuration.
Out:   what a `Teller` makes of it, one for each way.
Never: a threshold forgotten: what has been said is noted after it was said, so that a kill between the two says it
       twice, with the same key and id.

Reading the counters lags behind the ledger on purpose: many batches are looked at together.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from services.analytics.allowance import Spending, Spot, message_id, news, signal
from services.analytics.fold import Folded
from shared.clock import Clock
from shared.contracts.config import Entity
from shared.contracts.signal import Signal
from shared.contracts.webhook import signal_event
from shared.decision.allowances import Grant
from shared.kafka.faults import KafkaUnavailable, SendFailed
from shared.kafka.outbox import Outbox
from shared.names import actions, topics
from shared.project.allowance import Allowance
from shared.runtime.tasks import Tasks
from shared.runtime.webhooks import NotTaken, Webhooks
from shared.store.allowances import claim, let_go, spent, tell, told
from shared.store.redis import Store, StoreUnavailable

log = logging.getLogger(__name__)
_PAUSE_S = 0.1
_FIRST_REST_MS, _LONGEST_REST_MS = 1_000, 60_000
_KEEP_S = 86_400
# longer than a webhook may take
_CLAIM_MS = 15_000


class SaidElsewhere(Exception):
    """Another process is saying it."""


class Teller(Protocol):
    """One way to say it. `way`: under which name it is noted that it has been said."""

    way: str

    def wants(self, allowance: Allowance) -> bool:
        """Whether it is spoken of in this way."""

    async def start(self) -> None:
        """Ready to say it."""

    async def stop(self) -> None:
        """Nothing more is said."""

    async def say(self, grant: Grant, said: Signal, told: str) -> None:
        """Return once it has been heard; `told`: what is noted then."""


class OnTopic:
    """Signals for everybody."""

    way = "told"

    def __init__(self, outbox: Outbox) -> None:
        """Ready with its outbox."""
        self._outbox = outbox

    async def start(self) -> None:
        """Nothing: the outbox is a part of the service itself."""

    async def stop(self) -> None:
        """Nothing."""

    def wants(self, allowance: Allowance) -> bool:
        """Every one."""
        return bool(allowance.thresholds)

    async def say(self, grant: Grant, said: Signal, told: str) -> None:
        """Raises SendFailed, KafkaUnavailable."""
        await self._outbox.send(topics.SIGNALS, said.to_value(), [], key=said.key, partition=0)


class ToWebhook:
    """Messages for the webhook of an allowance."""

    way = "posted"

    def __init__(self, webhooks: Webhooks) -> None:
        """Its HTTP client starts and stops with it."""
        self._webhooks = webhooks

    async def start(self) -> None:
        """Ready to send."""
        await self._webhooks.start()

    async def stop(self) -> None:
        """Close connections."""
        await self._webhooks.stop()

    def wants(self, allowance: Allowance) -> bool:
        """Those that name one."""
        return allowance.webhook is not None

    async def say(self, grant: Grant, said: Signal, told: str) -> None:
        """Raises NotTaken."""
        webhook = grant.allowance.webhook
        assert webhook is not None
        name = message_id(grant, said, told)
        await self._webhooks.post(webhook.url, webhook.secret, name, signal_event(said, name))


class Thresholds:
    """Looks at what has been touched, in the background; what fails is looked at again later."""

    def __init__(self, store: Store, clock: Clock, tasks: Tasks, spending: Spending, teller: Teller) -> None:
        """`spending`: the allowances in force."""
        self._store, self._clock, self._tasks = store, clock, tasks
        self._spending, self._teller = spending, teller
        # None: all subjects
        self._touched: dict[Spot, set[str] | None] = {}
        # how often it has failed, and until when it rests
        self._resting: dict[Spot, tuple[int, int]] = {}
        self._work = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with all there is: what was counted last before a kill may not have been said."""
        await self._teller.start()
        self._loop = self._tasks.spawn(self._run(), f"thresholds {self._teller.way}")

    async def stop(self) -> None:
        """What is not said yet is said after the next start."""
        await self._tasks.end(self._loop)
        await self._teller.stop()

    def changed(self, projects: Iterable[str]) -> None:
        """Configuration: an amount may be another one now."""
        now_ms = self._clock.now_ms()
        for project in projects:
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
            now_ms = self._clock.now_ms()
            due = [spot for spot in self._touched if self._resting.get(spot, (0, 0))[1] <= now_ms]
            await asyncio.gather(*(self._try(spot, self._touched.pop(spot)) for spot in due))
            self._wake()
            await asyncio.sleep(_PAUSE_S)

    async def _try(self, spot: Spot, subjects: set[str] | None) -> None:
        try:
            await self._look(spot, subjects)
            self._resting.pop(spot, None)
        except SaidElsewhere:
            self._resting[spot] = 0, self._clock.now_ms() + _FIRST_REST_MS
            self._touch(spot, subjects)
        except (StoreUnavailable, SendFailed, KafkaUnavailable, NotTaken) as exc:
            tried = self._resting.get(spot, (0, 0))[0] + 1
            rest_ms = min(_FIRST_REST_MS << min(tried - 1, 10), _LONGEST_REST_MS)
            self._resting[spot] = tried, self._clock.now_ms() + rest_ms
            self._touch(spot, subjects)
            log.warning("allowance %s of project %s: what it has reached is not %s, again in %d ms: %s", spot.label,
                        spot.project, self._teller.way, rest_ms, exc, extra={"action": actions.THRESHOLD_WAITS})

    async def _look(self, spot: Spot, subjects: set[str] | None) -> None:
        now_ms = self._clock.now_ms()
        one = self._spending.at(spot)
        if one is None or spot.period[1] <= now_ms or not self._teller.wants(one.allowance):
            return
        key = one.key(spot.period[0])
        amounts = await spent(self._store, key, None if subjects is None else sorted(subjects))
        known = await told(self._store, key, self._teller.way, list(amounts))
        for subject, amount in amounts.items():
            grant = self._spending.grant(spot, one, subject)
            if news(grant, amount, known[subject]) is not None:
                await self._say(spot.project, grant, amount)

    async def _say(self, project: str, grant: Grant, amount: int) -> None:
        """Processes count the same amount: one of them speaks, the others look again whether it has."""
        way = self._teller.way
        if not await claim(self._store, grant.key, way, grant.subject, _CLAIM_MS):
            raise SaidElsewhere("another process is about to say it")
        try:
            known = await told(self._store, grant.key, way, [grant.subject])
            found = news(grant, amount, known[grant.subject])
            if found is None:
                return
            threshold, text = found
            await self._teller.say(grant, signal(project, grant, amount, threshold, self._clock.now_ms()), text)
            await tell(self._store, grant.key, way, grant.subject, text, grant.end // 1000 + _KEEP_S)
        finally:
            await let_go(self._store, grant.key, way, grant.subject)


class AllowanceWatch:
    """The allowances in force, and all ways of saying what they have reached."""

    def __init__(self, spending: Spending, ways: Sequence[Thresholds]) -> None:
        """`spending` is fed here."""
        self._spending, self._ways = spending, ways

    async def start(self) -> None:
        """Say what there is to say."""
        for way in self._ways:
            await way.start()

    async def stop(self) -> None:
        """Say nothing more."""
        for way in self._ways:
            await way.stop()

    def take(self, entities: Sequence[Entity]) -> None:
        """Configuration, as it comes."""
        changed = self._spending.take(entities)
        for way in self._ways:
            way.changed(changed)

    def listen(self, folded: Folded) -> None:
        """Usage that has been counted."""
        for way in self._ways:
            way.listen(folded)
