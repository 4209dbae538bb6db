"""Tell webhooks of signals.

In:    signals in the order of their topic; which webhooks the projects name, and one that hears of all.
Out:   signed messages, for each webhook in that order, each until it is taken or a day old.
Never: a webhook that holds up another one, or anything else; a signal told by two processes at once.

Every process hears every signal, and goes through them in the same order; whoever has the lease of a message sends it,
the others wait until it is noted as told. What a killed process leaves is told by another one, or at the next start,
when the topic is read anew. A message may come twice, with the same id.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from services.analytics.abuse_book import AbuseBook
from services.analytics.allowance import Spending
from shared.clock import Clock
from shared.contracts.signal import Signal
from shared.contracts.webhook import signal_event
from shared.names import actions
from shared.project.webhook import Webhook
from shared.runtime.tasks import Tasks
from shared.runtime.webhooks import NotTaken, Webhooks
from shared.store.redis import Store, StoreUnavailable
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
GIVE_UP_MS = 86_400_000
_LEASE_MS = 20_000
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _WAIT_S = 1.0, 60.0, 1.0
# after a start more than those may wait, for the topic is read anew: most of them have been told
_MOST_WAITING, _MOST_HEARD = 1_000, 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HeraldParts:
    """What the herald works with; built in `wire.py`. `everywhere` hears of the signals of all projects."""

    book: AbuseBook
    spending: Spending
    webhooks: Webhooks
    store: Store
    clock: Clock
    tasks: Tasks
    metrics: Metrics
    everywhere: Webhook | None = None


@dataclass(slots=True)
class _Line:
    """What a webhook has still to be told."""

    waiting: deque[Signal] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)


class Herald:
    """One line for each webhook."""

    def __init__(self, parts: HeraldParts) -> None:
        """Nothing heard."""
        self._parts = parts
        self._lines: dict[Webhook, _Line] = {}
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Ready to send."""
        await self._parts.webhooks.start()

    async def stop(self) -> None:
        """What has not been told is told by another process, or after the next start."""
        await self._parts.tasks.end(*self._running)
        await self._parts.webhooks.stop()

    def hear(self, signals: Sequence[Signal]) -> None:
        """What the topic of signals says."""
        too_old = self._parts.clock.now_ms() - GIVE_UP_MS
        for signal in signals:
            if signal.time <= too_old:
                continue
            for webhook in self._interested(signal):
                self._put(webhook, signal)

    def _interested(self, signal: Signal) -> Iterable[Webhook]:
        # whom an allowance costs is another one's business than who abuses an API
        own = (self._parts.spending.webhook(signal) if signal.kind == "allowance"
               else self._parts.book.of(signal.project).abuse.webhook)
        return {webhook for webhook in (own, self._parts.everywhere) if webhook is not None}

    def _put(self, webhook: Webhook, signal: Signal) -> None:
        line = self._lines.get(webhook)
        if line is None:
            line = self._lines[webhook] = _Line()
            self._running.append(self._parts.tasks.spawn(self._tell_all(webhook, line), "tell a webhook"))
        if len(line.waiting) >= _MOST_HEARD:
            self._lost(webhook, line.waiting.popleft(), f"{_MOST_HEARD} signals wait for it")
        line.waiting.append(signal)
        line.more.set()

    async def _tell_all(self, webhook: Webhook, line: _Line) -> None:
        while True:
            await line.more.wait()
            line.more.clear()
            while line.waiting:
                signal = line.waiting.popleft()
                if len(line.waiting) < _MOST_WAITING:
                    await self._tell(webhook, signal)
                elif not await self._is_told(webhook, signal):
                    self._lost(webhook, signal, f"{_MOST_WAITING} signals wait for it")

    async def _is_told(self, webhook: Webhook, signal: Signal) -> bool:
        while True:
            try:
                return await self._parts.store.command("GET", _told_key(message_id(webhook, signal))) is not None
            except StoreUnavailable:
                await asyncio.sleep(_WAIT_S)

    async def _tell(self, webhook: Webhook, signal: Signal) -> None:
        parts, tried, why = self._parts, 0, "there was no time"
        while parts.clock.now_ms() < signal.time + GIVE_UP_MS:
            pause_s = _WAIT_S
            try:
                if await self._told(webhook, signal):
                    return
            except (NotTaken, StoreUnavailable) as exc:
                why, pause_s = str(exc), min(_FIRST_PAUSE_S * 2.0 ** min(tried, 10), _LONGEST_PAUSE_S)
                tried += 1
                log.warning("a webhook has not been told of %s %s, try %d: %s; again in %.0f s", signal.kind,
                            signal.subject, tried, exc, pause_s,
                            extra={"action": actions.SIGNAL_WAITS, "project": signal.project})
            await asyncio.sleep(pause_s)
        self._lost(webhook, signal, why)

    async def _told(self, webhook: Webhook, signal: Signal) -> bool:
        """Whether it is told by now, by this process or another. Raises NotTaken, StoreUnavailable."""
        parts, name = self._parts, message_id(webhook, signal)
        key, lease = _told_key(name), f"weir:abuse:telling:{name}"
        if await parts.store.command("GET", key) is not None:
            return True
        if await parts.store.command("SET", lease, "1", "NX", "PX", _LEASE_MS) is None:
            return False
        try:
            await parts.webhooks.post(webhook.url, webhook.secret, name, signal_event(signal, name))
        except NotTaken:
            await parts.store.command("DEL", lease)
            raise
        await parts.store.command("SET", key, "1", "PX", GIVE_UP_MS)
        parts.metrics.signals_told.inc("told")
        return True

    def _lost(self, webhook: Webhook, signal: Signal, why: str) -> None:
        self._parts.metrics.signals_told.inc("given-up")
        where = webhook.url.partition("?")[0]
        log.error("webhook %s is not told of %s %s: %s", where, signal.kind, signal.subject, why,
                  extra={"action": actions.SIGNAL_WAITS, "project": signal.project})


def _told_key(name: str) -> str:
    return f"weir:abuse:told:{name}"


def message_id(webhook: Webhook, signal: Signal) -> str:
    """The same for the same signal, whoever tells it."""
    text = f"{webhook.url}\n{signal.time}\n{signal.action}\n".encode() + signal.key
    return f"signal_{blake2b(text, digest_size=12).hexdigest()}"
