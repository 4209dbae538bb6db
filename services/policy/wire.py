"""Composition root of policy: builds every object once, states the order of start and stop.

In:    settings.
Out:   a `Service`.
Never: a rule.
"""

import os
from collections.abc import Sequence

from services.policy.claims import Claims
from services.policy.counters import Counters
from services.policy.inbox import Bench
from services.policy.parts import PolicyParts
from services.policy.results import Results
from services.policy.secrets import tell_missing
from services.policy.settings import PolicySettings
from services.policy.traces import GROUP, PolicyTraces
from shared.clock import SystemClock
from shared.contracts.config import Entity
from shared.decision.book import PolicyBook
from shared.decision.vault import Vault
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.follower import FEW_OLDER, ConfigFollower, SignalFollower
from shared.kafka.intake import Intake, Subscription
from shared.kafka.outbox import Outbox
from shared.kafka.spans import exporters
from shared.kafka.watchdog import Watchdog
from shared.names import topics
from shared.names.metrics import SIGNALS
from shared.runtime.health import Health, HealthServer
from shared.runtime.key_sets import FirstKeys, KeySets
from shared.runtime.service import Service
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings
from shared.settings.secrets import ClusterKey
from shared.settings.service import ServiceSettings
from shared.settings.telemetry import TraceSettings
from shared.store.last_used import LastUsed
from shared.store.redis import Store
from shared.telemetry.access import AccessLog
from shared.telemetry.metrics import Metrics
from shared.telemetry.sampling import Sampler
from shared.telemetry.tracing import Tracing


async def build(service: ServiceSettings, own: PolicySettings) -> Service:
    """Build the service inside the running loop."""
    kafka, clock, metrics, tasks = KafkaSettings(), SystemClock(), Metrics.of("policy", service), Tasks()
    vault = Vault.of(ClusterKey().seal(), os.environ)
    tracing, traces, book = Tracing("policy", service.instance), TraceSettings(), PolicyBook(vault)
    sampler = Sampler(clock, ratio=traces.ratio, max_per_s=traces.max_per_s)
    key_sets = KeySets(vault, clock, tasks, every_s=own.key_sets_every_s, rest_s=own.key_sets_rest_s)
    outbox, side_outbox = Outbox(kafka, metrics), Outbox(kafka, metrics, "side-outbox")
    envelopes = UsageEnvelopes(side_outbox, metrics)
    store = Store(RedisSettings(), metrics)
    last_used = LastUsed(store, tasks)
    dead_letters = DeadLetters(side_outbox, metrics, clock, "policy")
    intake = Intake(kafka, tasks, metrics, Subscription(
        group=GROUP, instance=service.instance, topics=(topics.REQUESTS_EDGE, topics.REQUESTS_INTERNAL),
        max_open=own.max_open_records))
    intake.handler = Bench(PolicyParts(
        settings=own, clock=clock, book=book, intake=intake, outbox=outbox,
        answers=Answers(outbox, dead_letters), usage=envelopes, dead_letters=dead_letters, metrics=metrics,
        access=AccessLog(service.access_log_ratio),
        traces=PolicyTraces(tracing, sampler, clock, traces.slow_ms), tasks=tasks, key_sets=key_sets,
        last_used=last_used, keep_addresses=service.usage_addresses,
        claims=Claims(store, tasks),
        results=Results(store, tasks, own.result_keep_ms), counters=Counters(
            store, clock, metrics, tasks, instances=own.instances, rest_ms=own.store_rest_ms))).handle

    def take(entities: Sequence[Entity]) -> None:
        book.take(entities)
        key_sets.want(book.key_addresses())
        tell_missing(book, entities)

    metrics.read(SIGNALS, lambda: book.signals.by_action(clock.now_ms()))
    signals, config = SignalFollower(kafka, tasks, book.signals.take), ConfigFollower(
        kafka, tasks, metrics, take, older=FEW_OLDER)
    watchdog = Watchdog(kafka, tasks, metrics, (intake.watched, config.watched, signals.watched))
    health = Health("policy", metrics)
    health.probes += (outbox.probe, watchdog.probe)
    return Service(health=health, tasks=tasks, parts=(
        HealthServer(health, service.bind_host, service.health_port), store, last_used, key_sets, outbox, side_outbox,
        envelopes,
        *exporters(tracing, side_outbox, tasks, metrics, traces), signals,
        config, FirstKeys(key_sets), intake, watchdog))
