"""Composition root of the executor: builds every object once, states the order of start and stop.

In:    settings.
Out:   a `Service`.
Never: a rule.
"""

import os

from services.executor.endings import Endings
from services.executor.inbox import Stage
from services.executor.journal import Journals
from services.executor.keeping import Keeping
from services.executor.neighbours import Line, Neighbours
from services.executor.outside.client import OutsideClient
from services.executor.outside.credentials import Credentials
from services.executor.parts import ExecutorParts
from services.executor.progress import Progress
from services.executor.scene import StorageBounds, Surroundings
from services.executor.scripts import Scripts
from services.executor.settings import ExecutorSettings
from services.executor.shelf import Shelf
from services.executor.traces import GROUP, ExecutorTraces
from services.executor.waker import Waker
from shared.clock import SystemClock
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.follower import ConfigFollower
from shared.kafka.intake import Intake, Subscription
from shared.kafka.outbox import Outbox
from shared.kafka.spans import exporters
from shared.kafka.watchdog import Watchdog
from shared.names import topics
from shared.project.expressions import BOUNDS
from shared.runtime.addresses import Addresses
from shared.runtime.health import Health, HealthServer
from shared.runtime.service import Service
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings
from shared.settings.secrets import ClusterKey
from shared.settings.service import ServiceSettings
from shared.settings.telemetry import TraceSettings
from shared.store.redis import Store
from shared.telemetry.access import AccessLog
from shared.telemetry.metrics import Metrics
from shared.telemetry.tracing import Tracing

# of one expression: what takes longer keeps everybody else waiting
_TURN_MS = 20


async def build(service: ServiceSettings, own: ExecutorSettings) -> Service:
    """Build the service inside the running loop."""
    kafka, clock, metrics, tasks = KafkaSettings(), SystemClock(), Metrics.of("executor", service), Tasks()
    tracing, traces = Tracing("executor", service.instance), TraceSettings()
    outbox, side_outbox = Outbox(kafka, metrics), Outbox(kafka, metrics, "side-outbox")
    envelopes = UsageEnvelopes(side_outbox, metrics)
    dead_letters = DeadLetters(side_outbox, metrics, clock, "executor")
    store, patient = Store(RedisSettings(), metrics), Store(RedisSettings(), metrics, patient=True)
    shared = _surroundings(own, Line(kafka=kafka, tasks=tasks, metrics=metrics, store=store, outbox=outbox,
                                     owner=service.instance, max_in_flight=own.max_in_flight), patient, clock, tracing)
    shelf = Shelf(os.environ, own.version_wait_ms, shared.credentials.take, shared.endings.take)
    intake = Intake(kafka, tasks, metrics, Subscription(
        group=GROUP, instance=service.instance, topics=(topics.EXECUTIONS,), max_open=own.max_in_flight))
    intake.handler = Stage(ExecutorParts(
        settings=own, shelf=shelf, intake=intake, answers=Answers(outbox, dead_letters), usage=envelopes,
        dead_letters=dead_letters, metrics=metrics, access=AccessLog(service.access_log_ratio), tasks=tasks,
        keeping=Keeping(store, patient, clock, shared.journals, tasks), progress=Progress(store, patient, tasks),
        traces=ExecutorTraces(tracing, traces.slow_ms), surroundings=shared)).handle
    config = ConfigFollower(kafka, tasks, metrics, shelf.take)
    watchdog = Watchdog(kafka, tasks, metrics, (intake.watched, config.watched))
    health = Health("executor", metrics)
    health.probes += (outbox.probe, watchdog.probe)
    return Service(health=health, tasks=tasks, parts=(
        HealthServer(health, service.bind_host, service.health_port), shared.http, store, shared.scripts, outbox,
        side_outbox, envelopes, *exporters(tracing, side_outbox, tasks, metrics, traces),
        config, shared.endings, shared.neighbours, intake, patient, Waker(patient, side_outbox, tasks, clock),
        watchdog))


def _surroundings(own: ExecutorSettings, line: Line, patient: Store, clock: SystemClock,
                  tracing: Tracing) -> Surroundings:
    """What all executions share, with the bounds that the settings name."""
    BOUNDS.timeout_ms, BOUNDS.max_depth, BOUNDS.max_bytes, BOUNDS.turn_ms = (
        own.expression_timeout_ms, own.expression_max_depth, own.expression_max_bytes, _TURN_MS)
    http = OutsideClient(Addresses(own.allow_networks), connections=own.max_in_flight, per_host=own.http_connections)
    seal = ClusterKey().seal()
    return Surroundings(
        http=http, credentials=Credentials(seal, http, clock), clock=clock, tracing=tracing, tasks=line.tasks,
        journals=Journals(patient, line.tasks, seal), store=line.store, outbox=line.outbox,
        endings=Endings(line.store, line.tasks), neighbours=Neighbours(line),
        scripts=Scripts(time_ms=own.script_time_ms, memory_bytes=own.script_memory_bytes, threads=own.script_threads),
        storage=StorageBounds(own.storage_max_bytes, own.storage_max_items), publish_topics=own.publish_topics,
        park_after_ms=own.park_after_ms, max_depth=own.max_depth, max_call_depth=own.max_call_depth,
        max_response_bytes=own.max_response_bytes, max_output_bytes=own.max_output_bytes)
