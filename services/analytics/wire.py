"""Composition root of analytics: builds every object once, states the order of start and stop.

In:    settings.
Out:   a `Service`.
Never: a rule.
"""

import os
from collections.abc import Callable, Sequence

import faust
from aiokafka import TopicPartition
from faust.types import TP

from services.analytics.abuse_book import AbuseBook
from services.analytics.allowance import Spending
from services.analytics.app import GROUP, Handlers, build_app
from services.analytics.counters import Counters
from services.analytics.desk import QueryDesk
from services.analytics.follow import Places, Rewinder
from services.analytics.herald import Herald, HeraldParts
from services.analytics.inbox import AnalyticsParts, Counter
from services.analytics.ledger import Ledger
from services.analytics.queries import Queries
from services.analytics.recall import Recall
from services.analytics.screen import Projects, Screen
from services.analytics.settings import AnalyticsSettings
from services.analytics.stream import StreamWatch
from services.analytics.thresholds import Thresholds
from services.analytics.traces import UsageTraces
from services.analytics.verify import Verifier
from services.analytics.watch import Watch, WatchParts
from shared.clock import SystemClock
from shared.contracts.config import Entity
from shared.contracts.signal import Signal
from shared.decision.signals import SignalBoard
from shared.decision.vault import Vault
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.follower import ConfigFollower, SignalFollower
from shared.kafka.outbox import Outbox
from shared.kafka.spans import exporters
from shared.kafka.watchdog import Watchdog, Watched
from shared.names import topics
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
from shared.store.redis import Store, StoreUnavailable
from shared.telemetry.metrics import Metrics
from shared.telemetry.tracing import Tracing


class Streams:
    """The faust app as a part of the service."""

    def __init__(self, app: faust.App, places: Places, rewinder: Rewinder) -> None:
        """Built, not started."""
        self._app, self._places, self._rewinder = app, places, rewinder

    async def start(self) -> None:
        """Join the group; messages come from now on."""
        self._app.finalize()
        await self._app.start()
        self._rewinder.begin(self._positions, self._seek)

    async def stop(self) -> None:
        """Finish the message under way, leave."""
        await self._rewinder.end()
        await self._app.stop()

    def watched(self, full: Callable[[], bool]) -> Watched:
        """For the watchdog; `full`: whether no more is taken for now."""
        return Watched(name=GROUP, places=self._taken, waits=full)

    async def _taken(self) -> dict[TopicPartition, int]:
        """What was handed over, which is less than what was fetched."""
        return {TopicPartition(topics.USAGE, partition): offset for partition, offset in self._places.next.items()}

    async def _positions(self) -> dict[int, int]:
        consumer = self._app.consumer
        return {tp.partition: place for tp in consumer.assignment()
                if tp.topic == topics.USAGE and (place := await consumer.position(tp)) is not None}

    async def _seek(self, partition: int, offset: int) -> None:
        await self._app.consumer.seek(TP(topics.USAGE, partition), offset)


async def build(service: ServiceSettings, own: AnalyticsSettings) -> Service:
    """Build the service inside the running loop."""
    kafka, metrics, tasks, clock = KafkaSettings(), Metrics.of("analytics", service), Tasks(), SystemClock()
    store, outbox = Store(RedisSettings(), metrics, patient=True), Outbox(kafka, metrics)
    tracing = Tracing("analytics", service.instance)
    dead_letters = DeadLetters(outbox, metrics, clock, "analytics")
    projects, spending = Projects(), Spending()
    ledger = Ledger(store, clock, own.seen_hours, [spending.additions])
    secrets = Vault.of(None, os.environ).secrets
    thresholds = Thresholds(store, outbox, clock, tasks, spending)
    screen, book, board = Screen(projects.__contains__, own.max_ahead_ms), AbuseBook(own.stray_action), SignalBoard()
    watch = Watch(WatchParts(clock=clock, book=book, board=board, recall=Recall(store), outbox=outbox, tasks=tasks,
                             metrics=metrics))

    def take(entities: Sequence[Entity]) -> None:
        projects.take(entities)
        thresholds.take(entities)
        book.take(entities)
        board.take_pins(entities)

    follower = ConfigFollower(kafka, tasks, metrics, take)
    herald = Herald(HeraldParts(
        book=book, spending=spending, webhooks=Webhooks(secrets, Addresses(own.allow_networks), clock), store=store,
        clock=clock, tasks=tasks, metrics=metrics,
        everywhere=Webhook(url=own.signals_webhook, secret=own.signals_secret) if own.signals_webhook else None))

    def hear(found: Sequence[Signal]) -> None:
        watch.hear(found)
        herald.hear(found)

    signals = SignalFollower(kafka, tasks, hear)
    counter = Counter(AnalyticsParts(
        settings=own, screen=screen, catch_up=follower.catch_up, ledger=ledger, dead_letters=dead_letters,
        metrics=metrics, tasks=tasks, listeners=[thresholds.listen, watch.see, UsageTraces(tracing)]))
    desk = QueryDesk(queries=Queries(Counters(store), clock, projects.names, own.max_query_buckets),
                     verifier=Verifier(kafka, store, clock, screen, projects.names),
                     answers=Answers(outbox, dead_letters), dead_letters=dead_letters, tasks=tasks, settings=own)

    app = build_app(kafka, service.instance, service.state_dir, Handlers(
        count=counter.count, answer=desk.answer, begin=counter.begin, failed=tasks.fail))
    streams = Streams(app, counter.places, Rewinder(counter.places, tasks, lambda: counter.full))
    health = Health("analytics", metrics)
    health.probe = lambda: _probe(store)
    return Service(health=health, tasks=tasks, parts=(
        HealthServer(health, service.bind_host, service.health_port), store, outbox,
        *exporters(tracing, outbox, tasks, metrics, TraceSettings()), follower,
        StreamWatch(store, tasks, metrics), thresholds, herald, signals, watch, counter, streams,
        Watchdog(kafka, tasks, metrics, (
            streams.watched(lambda: counter.full), follower.watched, signals.watched))))


async def _probe(store: Store) -> str | None:
    try:
        await store.ping()
    except StoreUnavailable as exc:
        return f"the store is away: {exc}"
    return None
