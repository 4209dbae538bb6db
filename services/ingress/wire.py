"""Composition root of the ingress: builds every object once, states the order of start and stop.

In:    settings.
Out:   a `Service`.
Never: a rule.
"""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from services.ingress.again import Again
from services.ingress.bodies import Bodies
from services.ingress.callers import Callers
from services.ingress.canary import Canary
from services.ingress.doorstep import Heads, Server
from services.ingress.edge_usage import EdgeUsage
from services.ingress.endings import Endings
from services.ingress.gate import Gate
from services.ingress.inbox import Door, EdgeParts
from services.ingress.pages import Pages
from services.ingress.routes import EdgeRoutes
from services.ingress.settings import IngressSettings
from services.ingress.traces import EdgeTraces
from shared.client.caller import Caller
from shared.client.pending import Pending
from shared.client.replies import ReplyReader
from shared.client.slot import Slot
from shared.clock import SystemClock
from shared.contracts.config import Entity
from shared.decision.signals import SignalBoard
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.follower import FEW_OLDER, ConfigFollower, SignalFollower
from shared.kafka.outbox import Outbox
from shared.kafka.spans import exporters
from shared.kafka.watchdog import Watchdog
from shared.names import topics
from shared.names.metrics import IN_LINE, PLACES, SIGNALS
from shared.runtime import descriptors
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
from shared.telemetry.sampling import Sampler
from shared.telemetry.tracing import Tracing

# of the time to stop: the rest is for last words
_PATIENCE = 0.8
# of the event loop, in which a call that has come is begun
_TURNS = 5


class HttpServer:
    """Listens last, when everything behind it is ready, and stops first."""

    def __init__(self, door: Door, heads: Heads, endings: Endings, pending: Pending,
                 service: ServiceSettings, own: IngressSettings) -> None:
        """Port 0 lets the system choose."""
        self._door, self._heads, self._endings, self._pending = door, heads, endings, pending
        self._host, self._port = service.bind_host, own.port
        self._patience_s, self._parting_s = service.drain_ms / 1000 * _PATIENCE, own.parting_ms / 1000
        self._server: Server | None = None
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._server = Server(self._door.handle, self._heads, self._endings.unread, descriptors.for_callers())
        self._runner = web.ServerRunner(self._server)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, backlog=1024, reuse_port=True).start()

    async def stop(self) -> None:
        """Take leave, take no new connections, refuse new calls, let those under way end, tell the others that they
        will not, close."""
        until_s = asyncio.get_running_loop().time() + self._patience_s
        if self._runner is not None and self._server is not None:
            await self._take_leave(self._runner, self._server)
        self._door.draining = True
        self._heads.forget()
        try:
            async with asyncio.timeout_at(until_s):
                await self._pending.empty()
        except TimeoutError:
            self._pending.give_up()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take_leave(self, runner: web.ServerRunner, server: Server) -> None:
        """Connections end with the next answer at first: one that ends while nothing is under way may do so in the
        moment in which a pool sends a call over it, and nobody knows then whether that call has come."""
        server.winding_up = True
        await asyncio.sleep(min(self._parting_s, self._patience_s))
        for site in runner.sites:
            await site.stop()
        await server.wind_up()
        for _ in range(_TURNS):
            await asyncio.sleep(0)


async def build(service: ServiceSettings, own: IngressSettings) -> Service:
    """Build the service inside the running loop."""
    kafka, clock, metrics, tasks = KafkaSettings(), SystemClock(), Metrics.of("ingress", service), Tasks()
    tracing, traces = Tracing("ingress", service.instance), TraceSettings()
    sampler = Sampler(clock, ratio=traces.ratio, max_per_s=traces.max_per_s)
    store = Store(RedisSettings(), metrics, patient=True)
    slot = Slot(store, tasks, topic=topics.REPLIES, owner=service.instance, fixed=own.slot)
    pending = Pending(own.max_in_flight, metrics)
    outbox, side_outbox = Outbox(kafka, metrics), Outbox(kafka, metrics, "side-outbox")
    replies = ReplyReader(kafka, tasks, pending, topic=topics.REPLIES, outbox=outbox, choose=slot.take)
    envelopes = UsageEnvelopes(side_outbox, metrics)
    routes, board = EdgeRoutes(), SignalBoard()

    def take(entities: Sequence[Entity]) -> None:
        routes.take(entities)
        board.take_pins(entities)

    caller = Caller(outbox, pending, replies)
    gate = Gate(clock, most=own.max_in_flight, target_ms=own.queue_target_ms, patience_ms=own.line_patience_ms)
    bodies = Bodies(own.max_bodies_bytes)
    metrics.bound("bodies", lambda: bodies.held, own.max_bodies_bytes)
    metrics.read(PLACES, lambda: gate.places)
    metrics.read(IN_LINE, lambda: gate.in_line)
    metrics.read(SIGNALS, lambda: board.by_action(clock.now_ms()))
    signals, config = SignalFollower(kafka, tasks, board.take), ConfigFollower(
        kafka, tasks, metrics, take, older=FEW_OLDER)
    watchdog = Watchdog(kafka, tasks, metrics, (replies.watched, config.watched, signals.watched))
    health = Health("ingress", metrics)
    health.probes.append(Canary(caller, clock))
    callers, spans = Callers(own, routes, board), EdgeTraces(tracing, sampler, clock, traces.slow_ms)
    endings = Endings(
        clock=clock, routes=routes, metrics=metrics, traces=spans,
        usage=EdgeUsage(envelopes, clock, keep_addresses=service.usage_addresses),
        access=AccessLog(service.access_log_ratio))
    heads = Heads()
    again = Again(clock=clock, routes=routes, caller=caller, gate=gate, callers=callers, traces=spans, endings=endings,
                  heads=heads)
    heads.crowded, heads.stranger = again.crowded, again.stranger
    door = Door(EdgeParts(
        settings=own, clock=clock, routes=routes, caller=caller, gate=gate, bodies=bodies, again=again,
        callers=callers, endings=endings, metrics=metrics, traces=spans, pages=Pages(routes), health=health,
        seal=ClusterKey().seal(), store=store))
    return Service(health=health, tasks=tasks, parts=(
        HealthServer(health, service.bind_host, service.health_port),
        store, outbox, side_outbox, envelopes, *exporters(tracing, side_outbox, tasks, metrics, traces),
        signals, config, replies, watchdog,
        HttpServer(door, heads, endings, pending, service, own)))
