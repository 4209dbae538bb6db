"""The door: an HTTP request in, an HTTP answer out.

In:    requests of aiohttp's low-level server.
Out:   records on the edge topic; answers.
Never: a rule; `routes`, `admission`, `translate` and `answer` have them.
"""

import logging
import time
from dataclasses import dataclass

from aiohttp import web
from msgspec import structs

from services.ingress import admission, answer, cors, message, reading, translate
from services.ingress.again import AGAIN, Again
from services.ingress.bodies import Bodies
from services.ingress.callers import Callers
from services.ingress.doorstep import is_half
from services.ingress.endings import Endings
from services.ingress.executions import placed
from services.ingress.gate import Gate
from services.ingress.pages import Pages, may_be_page
from services.ingress.routes import EdgeRoutes, Target, origin_form, split
from services.ingress.settings import IngressSettings
from services.ingress.streaming import OWN_HEADERS, EventStream, is_whole
from services.ingress.traces import EdgeTraces, Watching
from services.ingress.visit import Visit
from shared.client.caller import Caller
from shared.client.pending import Stopped
from shared.clock import Clock
from shared.contracts import ids
from shared.contracts.request import RequestRecord
from shared.contracts.sealed import Seal
from shared.contracts.traceparent import TraceContext
from shared.errors import (
    ClientGone,
    Refused,
    StreamBroken,
    StreamNotResumable,
    TimedOut,
    WeirError,
)
from shared.names import actions, topics
from shared.names import headers as H
from shared.names.metrics import WORK
from shared.project.modes import OWN_PATHS, Answering
from shared.runtime.health import Health
from shared.store.cancels import cancel
from shared.store.redis import Store, StoreUnavailable
from shared.telemetry.logs import about_request
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
HOP = "ingress"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeParts:
    """What the door works with; built in `wire.py`."""

    settings: IngressSettings
    clock: Clock
    routes: EdgeRoutes
    caller: Caller
    gate: Gate
    bodies: Bodies
    again: Again
    callers: Callers
    endings: Endings
    metrics: Metrics
    traces: EdgeTraces
    pages: Pages
    health: Health
    seal: Seal | None
    store: Store


class Door:
    """Handles every HTTP request of this instance."""

    def __init__(self, parts: EdgeParts) -> None:
        """Open until `draining` is set."""
        self._parts = parts
        self.draining = False

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, one answer; no error leaves this function."""
        path, _, query = origin_form(request.raw_path).partition("?")
        page = await self._page(request, path)
        if page is not None:
            if is_half(request):
                page.force_close()
            return page
        # of a caller with two of them nobody knows which it means
        came = TraceContext.parse(",".join(request.headers.getall(H.TRACEPARENT, ())))
        now_ms = self._parts.clock.now_ms()
        visit = Visit(ids.request_id(now_ms), request.method, path, *split(path), came,
                      came or TraceContext.new(sampled=False), self._parts.clock.elapsed_us())
        about_request(visit.request_id, visit.trace.trace_id)
        try:
            result = await self._call(request, visit, query)
        except WeirError as error:
            result = self._refused(request, visit, error)
        except Exception:
            log.exception("request %s failed", visit.request_id,
                          extra={"action": actions.REQUEST_FAILED, "request_id": visit.request_id})
            result = self._refused(request, visit, WeirError("an error inside the gateway; the log has the request id"))
        self._parts.endings.finish(visit, result.status)
        if isinstance(result, web.StreamResponse):
            return result
        result = (answer.shaped(result, visit.target, request.headers) if visit.target is not None else
                  answer.opened(result, self._parts.routes.everywhere(visit.project), request.headers))
        if visit.error[0] in AGAIN:
            self._parts.again.know(request, visit)
        return await message.send(request, result, self._parts.clock.now_ms() // 1000)

    def _refused(self, request: web.BaseRequest, visit: Visit, error: WeirError) -> answer.Answer:
        return self._parts.endings.refused(visit, error, self._parts.callers.address(request))

    async def _page(self, request: web.BaseRequest, path: str) -> web.StreamResponse | None:
        """The answer to what is no call of an operation."""
        if may_be_page(request.method, path):
            page = await self._parts.health.answer(path, request.headers.get("Accept", "")) or (
                self._parts.pages.answer(path))
            if page is not None:
                page.headers["Server"] = H.SERVER
            return page
        if request.method == "OPTIONS" and cors.WANTED_METHOD in request.headers:
            granted = self._preflight(request, path)
            if granted is not None:
                return web.Response(status=204, headers={**granted, "Server": H.SERVER})
        return None

    def _preflight(self, request: web.BaseRequest, path: str) -> dict[str, str] | None:
        """The permission that a browser asks for; None when no operation is meant, or it says nothing of browsers."""
        rules, methods = self._parts.routes.browsers(request.headers[cors.WANTED_METHOD], *split(path))
        return cors.preflight(rules, request.headers, methods) if rules else None

    async def _call(self, request: web.BaseRequest, visit: Visit, query: str) -> answer.Answer | web.StreamResponse:
        parts, project, below = self._parts, visit.project, visit.below
        if visit.path.startswith(OWN_PATHS):
            project, below = split(await placed(parts.store, visit.path))
        try:
            visit.target = target = parts.routes.find(request.method, project, below)
        except Refused as error:
            blocked = parts.callers.blocked_address(request, project, parts.clock.now_ms())
            return self._refused(request, visit, error if blocked is None else blocked)
        parts.traces.begin(visit, target, forced=(
            H.HTTP_TRACE in request.headers and self._may_ask(request, below, query, target)))
        admission.check_open(draining=self.draining)
        # a refusal has to cost as little as it can, when there are many
        parts.caller.check()
        full = parts.gate.refusal()
        if full is not None:
            return self._refused(request, visit, full)
        seen = parts.callers.parts(request, below, query)
        blocked = parts.callers.blocked(visit, seen, target, parts.clock.now_ms())
        if blocked is not None:
            return self._refused(request, visit, blocked)
        if target.operation.mode == "events" and seen.headers.get(H.LAST_EVENT_ID):
            raise StreamNotResumable("events are not kept, so this stream cannot go on after one of them; call again "
                                     "without Last-Event-ID, and the work begins anew")
        with parts.bodies.share() as share:
            # before it has a place: whoever sends it slowly keeps nobody out
            seen.body = await reading.body(request, visit, share, parts.settings)
            return await self._placed(request, visit, seen, target)

    async def _placed(self, request: web.BaseRequest, visit: Visit, seen: translate.HttpParts,
                      target: Target) -> answer.Answer | web.StreamResponse:
        parts = self._parts
        was_half = is_half(request)
        await parts.gate.enter()
        if request.transport is None or is_half(request) is not was_half:
            # it may have come again since, and would have all of it done twice
            parts.gate.leave()
            raise ClientGone("the caller has closed the connection before there was a place for its call")
        if target.operation.mode == "events":
            # a stream lasts for as long as it likes, and keeps nobody waiting
            parts.gate.leave()
            return await self._published(request, visit, seen, target)
        try:
            return await self._published(request, visit, seen, target)
        finally:
            parts.gate.leave()

    async def _published(self, request: web.BaseRequest, visit: Visit, seen: translate.HttpParts,
                         target: Target) -> answer.Answer | web.StreamResponse:
        parts = self._parts
        how = target.answering(seen.headers.get(H.PREFER))
        record = translate.to_record(
            seen, target, visit.request_id, parts.clock.now_ms() + how.run_ms,
            parts.traces.publishing(visit, len(seen.body)), parts.seal)
        parts.metrics.hop_us.add(visit.published_us - visit.started_us, HOP, WORK)
        if target.operation.mode == "events":
            return await self._events(request, visit, record, how)
        # who said how long it waits is not kept longer
        grace_ms = 0 if how.wait_ms < how.run_ms else parts.settings.grace_ms
        try:
            reply = await parts.caller.ask(topics.REQUESTS_EDGE, seen.body, record.enclosed, how.wait_ms + grace_ms,
                                            Watching(parts.traces, visit))
        except TimedOut as error:
            visit.caller = parts.callers.owner(seen, target)
            # of one that ends before its caller would have been told where, no result is kept
            if how.kept and not isinstance(error, Stopped):
                raise answer.still_running(target.project, visit.request_id, how,
                                           keyed=H.IDEMPOTENCY_KEY in seen.headers) from error
            raise
        parts.gate.told(parts.clock.elapsed_us() - visit.published_us, reply.timing)
        parts.traces.answered(visit, reply)
        made = answer.of_reply(reply, visit.request_id)
        if how.applied and not how.at_once:
            # policy, which answers at once, says so itself
            made.headers[H.HTTP_PREFERENCE_APPLIED] = how.applied
        return made

    async def _events(self, request: web.BaseRequest, visit: Visit, record: RequestRecord,
                      how: Answering) -> answer.Answer | web.StreamResponse:
        settings = self._parts.settings
        watching = Watching(self._parts.traces, visit)
        async with self._parts.caller.listen(topics.REQUESTS_EDGE, record.body, record.enclosed, watching) as parts:
            stream = EventStream(request, parts, visit.request_id, heartbeat_s=settings.heartbeat_ms / 1000,
                                 end_s=time.monotonic() + (how.wait_ms + settings.grace_ms) / 1000,
                                 was_half=is_half(request))
            try:
                first = await stream.first()
                if first is not None and is_whole(first):
                    self._parts.traces.answered(visit, first)
                    made = answer.of_reply(first, visit.request_id)
                    # the events of a call that has run before come as one answer, and are no page to be kept either
                    return made if first.content_type != H.EVENT_STREAM else structs.replace(
                        made, headers={**made.headers, **OWN_HEADERS})
                response = await stream.run(first, visit.target, {
                    H.HTTP_REQUEST_ID: visit.request_id, "Server": H.SERVER})
            except ClientGone:
                if request.transport is not None:
                    request.transport.abort()
                await self._unheard(visit.request_id)
                raise
            except StreamBroken:
                await self._unheard(visit.request_id)
                raise
            finally:
                visit.parts, visit.told_status = stream.sequence, stream.status
        if stream.ended is not None:
            self._parts.traces.answered(visit, stream.ended)
        if stream.error is not None:
            self._refused(request, visit, stream.error)
        if isinstance(stream.error, StreamBroken):
            await self._unheard(visit.request_id)
        return response

    async def _unheard(self, request_id: str) -> None:
        """Nobody hears the rest: the execution may end."""
        try:
            await cancel(self._parts.store, request_id, "client-gone")
        except StoreUnavailable as exc:
            log.warning("an execution that nobody hears goes on: %s", exc,
                        extra={"action": actions.STORE_AWAY, "request_id": request_id})

    def _may_ask(self, request: web.BaseRequest, path: str, query: str, target: Target) -> bool:
        """Whether the client may ask for a trace: by its token, for a JWT is verified further in."""
        owner = self._parts.callers.owner(self._parts.callers.parts(request, path, query), target)
        return owner is not None and owner.client in target.tracing.debug
