"""Composition root of control: builds every object once, states the order of start and stop.

In:    settings.
Out:   a `Service`.
Never: a rule.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from services.control.admin_token import admin_token
from services.control.api import Desk, Route
from services.control.inbox import AdminDoor
from services.control.letter_box import LetterBox, LetterFollower
from services.control.past_requests import PastRequests
from services.control.registry import Registry
from services.control.resources import (
    access,
    allowance,
    clients,
    credentials,
    dead_letters,
    documents,
    executions,
    log_levels,
    projects,
    signals,
    traces,
    usage,
)
from services.control.settings import ControlSettings
from services.control.trace_follower import TraceFollower
from services.control.trace_store import TraceStore
from shared.client.caller import Caller
from shared.client.pending import Pending
from shared.client.replies import ReplyReader
from shared.client.slot import Slot
from shared.clock import Clock, SystemClock
from shared.contracts.config import Entity
from shared.decision.book import PolicyBook
from shared.decision.vault import Vault
from shared.kafka.follower import ConfigFollower, SignalFollower
from shared.kafka.outbox import Outbox
from shared.kafka.watchdog import Watchdog
from shared.names import topics
from shared.names.metrics import DEAD_LETTERS_WAITING, SIGNALS
from shared.runtime.connections import AppRunner
from shared.runtime.health import Health, HealthServer
from shared.runtime.key_sets import KeySets
from shared.runtime.service import Service
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings
from shared.settings.secrets import ClusterKey
from shared.settings.service import ServiceSettings
from shared.settings.usage import QuerySettings
from shared.settings.wrong import WrongSetting
from shared.store.redis import Store
from shared.telemetry.metrics import Metrics
from shared.usage.counters import Counters
from shared.usage.queries import Queries

ROUTES: tuple[Route, ...] = (*projects.ROUTES, *access.ROUTES, *signals.ROUTES, *clients.ROUTES, *credentials.ROUTES,
                             *executions.ROUTES, *log_levels.ROUTES, *usage.ROUTES, *dead_letters.ROUTES,
                             *allowance.ROUTES, *traces.ROUTES,
                             *documents.ROUTES)

# somebody waits for what is written here, and can try again
_WAIT_MS = 10_000


class AdminServer:
    """Listens last, stops first."""

    def __init__(self, application: web.Application, host: str, port: int) -> None:
        """Port 0 lets the system choose."""
        self._runner = AppRunner(application, access_log=None)
        self._host, self._port = host, port

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        """Let calls under way end, close."""
        await self._runner.cleanup()


async def build(service: ServiceSettings, own: ControlSettings) -> Service:
    """Build the service inside the running loop."""
    kafka, clock, metrics, tasks = KafkaSettings(), SystemClock(), Metrics.of("control", service), Tasks()
    configured = own.admin_token.get_secret_value() if own.admin_token is not None else None
    try:
        token = admin_token(configured, Path(service.state_dir))
    except OSError as exc:
        raise WrongSetting(f"WEIR_STATE_DIR: the admin token cannot be kept in {service.state_dir} ({exc.strerror}); "
                           "name a folder that can be written, or set WEIR_CONTROL_ADMIN_TOKEN") from None
    store = Store(RedisSettings(), metrics, patient=True)
    outbox = Outbox(kafka.model_copy(update={"send_timeout_ms": min(kafka.send_timeout_ms, _WAIT_MS)}), metrics)
    registry, trace_store = Registry(outbox, clock), TraceStore(own.max_traces, own.max_trace_bytes)
    vault = Vault.of(ClusterKey().seal(), os.environ)
    book, key_sets = PolicyBook(vault), KeySets(vault, clock, tasks)
    pending = Pending(own.max_in_flight, metrics)
    slot = Slot(store, tasks, topic=topics.REPLIES, owner=service.instance)
    replies = ReplyReader(kafka, tasks, pending, topic=topics.REPLIES, outbox=outbox, choose=slot.take)
    metrics.read(SIGNALS, lambda: book.signals.by_action(clock.now_ms()))
    letters = LetterBox(own.max_letters)
    letters_followed = LetterFollower(kafka, tasks, letters)
    metrics.read(DEAD_LETTERS_WAITING, letters.waiting)
    health = Health("control", metrics)
    desk = Desk(registry=registry, traces=trace_store, letters=letters, letter_reader=letters_followed,
                caller=Caller(outbox, pending, replies), store=store, book=book,
                outbox=outbox, replay=PastRequests(kafka, book, own.max_replay_records), clock=clock,
                queries=_queries(store, clock, registry),
                query_timeout_ms=own.query_timeout_ms, verify_timeout_ms=own.verify_timeout_ms,
                max_project_bytes=own.max_project_bytes, keep_versions=own.keep_versions)

    def take(entities: Sequence[Entity]) -> None:
        book.take(entities)
        key_sets.want(book.key_addresses())
        registry.take(entities)

    config, signals_followed = ConfigFollower(kafka, tasks, metrics, take), SignalFollower(
        kafka, tasks, book.signals.take)
    traces_followed = TraceFollower(kafka, tasks, trace_store)
    watchdog = Watchdog(kafka, tasks, metrics, (config.watched, signals_followed.watched, replies.watched,
                                                traces_followed.watched, letters_followed.watched))
    health.probes += (outbox.probe, watchdog.probe)
    door = AdminDoor(desk, health, ROUTES, token)
    return Service(health=health, tasks=tasks, parts=(
        HealthServer(health, service.bind_host, service.health_port), store, outbox, key_sets,
        signals_followed, config, replies, traces_followed, letters_followed, watchdog,
        AdminServer(door.application, service.bind_host, own.port)))


def _queries(store: Store, clock: Clock, registry: Registry) -> Queries:
    # calls that meant no project at all are counted under the empty name
    return Queries(Counters(store), clock, lambda: ("", *registry.catalogue.projects()),
                   QuerySettings().max_query_buckets)
