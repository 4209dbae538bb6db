"""Composition root of analytics: builds every object once, states the order of start and stop.

In:    settings.
Out:   a `Service`.
Never: a rule.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass

from services.analytics.abuse_book import AbuseBook
from services.analytics.allowance import Spending
from services.analytics.app import Handlers, build_app
from services.analytics.desk import QueryDesk
from services.analytics.follow import Rewinder
from services.analytics.herald import Herald, HeraldParts
from services.analytics.inbox import AnalyticsParts, Counter
from services.analytics.ledger import Ledger
from services.analytics.lookout import Lookout
from services.analytics.processor import Processor
from services.analytics.recall import Recall
from services.analytics.screen import Projects, Screen
from services.analytics.settings import AnalyticsSettings
from services.analytics.stream import StreamWatch
from services.analytics.thresholds import Thresholds
from services.analytics.traces import UsageTraces
from services.analytics.verify import Verifier
from services.analytics.watch import Watch, WatchParts
from shared.clock import Clock, SystemClock
from shared.contracts.config import Entity
from shared.contracts.signal import Signal
from shared.decision.signals import SignalBoard
from shared.decision.vault import Vault
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.follower import FEW_OLDER, ConfigFollower, SignalFollower
from shared.kafka.outbox import Outbox
from shared.kafka.spans import exporters
from shared.kafka.watchdog import Watchdog
from shared.project.webhook import Webhook
from shared.runtime.addresses import Addresses
from shared.runtime.health import Health, HealthServer
from shared.runtime.service import Service
from shared.runtime.tasks import Tasks
from shared.runtime.webhooks import Webhooks
from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings
from shared.settings.service import ServiceSettings
from shared.settings.telemetry import TraceSettings
from shared.settings.usage import QuerySettings
from shared.store.redis import Store, StoreUnavailable
from shared.telemetry.metrics import Metrics
from shared.telemetry.tracing import Tracing
from shared.usage.counters import Counters
from shared.usage.queries import Queries

# who asks whether it is ready does not wait for much longer
_PING_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all parts stand on."""

    own: AnalyticsSettings
    kafka: KafkaSettings
    clock: Clock
    metrics: Metrics
    tasks: Tasks
    store: Store
    outbox: Outbox
    dead_letters: DeadLetters


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the configuration says, for those who look it up."""

    projects: Projects
    spending: Spending
    book: AbuseBook
    board: SignalBoard


async def build(service: ServiceSettings, own: AnalyticsSettings) -> Service:
    """Build the service inside the running loop."""
    ground = _ground(service, own)
    kafka, metrics, tasks, store, outbox = ground.kafka, ground.metrics, ground.tasks, ground.store, ground.outbox
    known = Known(projects=Projects(), spending=Spending(), book=AbuseBook(own.stray_action), board=SignalBoard())
    thresholds = Thresholds(store, outbox, ground.clock, tasks, known.spending)
    watch = Watch(WatchParts(clock=ground.clock, book=known.book, board=known.board, recall=Recall(store),
                             outbox=outbox, tasks=tasks, metrics=metrics))
    herald = _herald(ground, known)

    def take(entities: Sequence[Entity]) -> None:
        known.projects.take(entities)
        thresholds.take(entities)
        known.book.take(entities)
        known.board.take_pins(entities)

    def hear(found: Sequence[Signal]) -> None:
        watch.hear(found)
        herald.hear(found)

    follower, signals = ConfigFollower(kafka, tasks, metrics, take, older=FEW_OLDER), SignalFollower(
        kafka, tasks, hear)
    tracing, screen = Tracing("analytics", service.instance), Screen(known.projects.__contains__, own.max_ahead_ms)
    ledger = Ledger(store, ground.clock, own.seen_hours, [known.spending.additions])
    counter = Counter(AnalyticsParts(
        settings=own, screen=screen, catch_up=follower.catch_up, dead_letters=ground.dead_letters, metrics=metrics,
        ledger=ledger, tasks=tasks,
        listeners=[thresholds.listen, watch.see, UsageTraces(tracing)]))
    app = build_app(kafka, service.instance, service.state_dir, Handlers(
        count=counter.count, answer=_desk(ground, known, screen).answer, begin=counter.begin, failed=tasks.fail))
    rewinder = Rewinder(counter.places, tasks, lambda: counter.full, Lookout(kafka).look, ledger.begin_anew)
    processor = Processor(app, counter.places, rewinder, kafka, tasks)
    watchdog = Watchdog(kafka, tasks, metrics, (
        processor.watched(lambda: counter.full), follower.watched, signals.watched))
    health = Health("analytics", metrics)
    health.probes += (lambda: _probe(store), counter.probe, watchdog.probe)
    return Service(health=health, tasks=tasks, parts=(
        HealthServer(health, service.bind_host, service.health_port), store, outbox,
        *exporters(tracing, outbox, tasks, metrics, TraceSettings()), follower,
        StreamWatch(store, tasks, metrics), thresholds, herald, signals, watch, counter, processor, watchdog))


def _ground(service: ServiceSettings, own: AnalyticsSettings) -> Ground:
    kafka, metrics, clock = KafkaSettings(), Metrics.of("analytics", service), SystemClock()
    outbox = Outbox(kafka, metrics)
    return Ground(own=own, kafka=kafka, clock=clock, metrics=metrics, tasks=Tasks(), outbox=outbox,
                  store=Store(RedisSettings(), metrics, patient=True),
                  dead_letters=DeadLetters(outbox, metrics, clock, "analytics"))


def _herald(ground: Ground, known: Known) -> Herald:
    own = ground.own
    webhooks = Webhooks(Vault.of(None, os.environ).secrets, Addresses(own.allow_networks), ground.clock)
    return Herald(HeraldParts(
        book=known.book, spending=known.spending, webhooks=webhooks, store=ground.store, clock=ground.clock,
        tasks=ground.tasks, metrics=ground.metrics,
        everywhere=Webhook(url=own.signals_webhook, secret=own.signals_secret) if own.signals_webhook else None))


def _desk(ground: Ground, known: Known, screen: Screen) -> QueryDesk:
    store, clock, names, most = ground.store, ground.clock, known.projects.names, QuerySettings().max_query_buckets
    return QueryDesk(queries=Queries(Counters(store), clock, names, most), max_buckets=most,
                     verifier=Verifier(ground.kafka, store, clock, screen, names),
                     answers=Answers(ground.outbox, ground.dead_letters), dead_letters=ground.dead_letters,
                     tasks=ground.tasks, settings=ground.own)


async def _probe(store: Store) -> str | None:
    try:
        async with asyncio.timeout(_PING_S):
            await store.ping()
    except TimeoutError:
        return "the store is away: it does not answer"
    except StoreUnavailable as exc:
        return f"the store is away: {exc}"
    return None
