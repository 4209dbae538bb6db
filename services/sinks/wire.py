"""Composition root of a sink: builds every object once, states the order of start and stop.

In:    settings.
Out:   a `Service`.
Never: a rule.
"""

from services.sinks.beginning import Beginning
from services.sinks.inbox import WebhookDoor
from services.sinks.settings import SinkSettings
from services.sinks.webhook import Webhook
from services.sinks.writer import Writer
from shared.clock import SystemClock
from shared.kafka.intake import Intake, Subscription
from shared.kafka.span import SpanReader
from shared.kafka.watchdog import Watchdog
from shared.names import topics
from shared.runtime.health import Health, HealthServer
from shared.runtime.service import Part, Service
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.settings.service import ServiceSettings
from shared.telemetry.metrics import Metrics


async def build(service: ServiceSettings, own: SinkSettings) -> Service:
    """Build the service inside the running loop. Raises ValueError for settings that cannot be."""
    kafka, clock, tasks, metrics = KafkaSettings(), SystemClock(), Tasks(), Metrics.of("sinks", service)
    health = Health("sinks", metrics)
    parts: tuple[Part, ...]
    if own.kind == "parquet":
        reader = SpanReader(kafka, topics.USAGE)
        writer = Writer(own, reader, clock, tasks, metrics)
        parts, watched = (reader, writer), writer.watched
    else:
        group, webhook = f"weir-sink-{own.name}", Webhook(own, clock)
        intake = Intake(kafka, tasks, metrics, Subscription(
            group=group, instance=f"sink-{own.name}-{service.instance}", topics=(topics.USAGE,),
            max_open=own.max_open_records))
        door = WebhookDoor(own, intake, webhook, tasks, metrics)
        intake.handler = door.handle

        async def probe() -> str | None:
            return None if webhook.trouble is None else f"the webhook does not take what it gets, {webhook.trouble}"
        health.probes.append(probe)
        parts, watched = (webhook, Beginning(kafka, group), door, intake), intake.watched
    watchdog = Watchdog(kafka, tasks, metrics, [watched])
    health.probes.append(watchdog.probe)
    return Service(health=health, tasks=tasks,
                   parts=(HealthServer(health, service.bind_host, service.health_port), *parts, watchdog))
