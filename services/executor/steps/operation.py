"""The `operation` step: an operation of another project, through its own policy.

In:    its project and name, parameters and body with expressions, a credential.
Out:   {status, headers, body}.
Never: a way around that project's policy; a circle of projects that call each other for ever; a call that a durable
       execution has made before made anew while that one runs.
"""

import asyncio
import hashlib
from typing import Any

import orjson
from msgspec.structs import replace

from services.executor.retries import asked_to_wait
from services.executor.scene import LONGEST_KEY, Scene
from services.executor.seen import rendered
from services.executor.steps.base import Compiler
from shared.contracts import ids
from shared.contracts.reply import ReplyRecord
from shared.contracts.request import RequestRecord
from shared.contracts.traceparent import TraceContext
from shared.errors import IdempotencyRunning, Refused, TimedOut, UpstreamFailed, WorkflowFailed
from shared.names import topics
from shared.names.headers import HTTP_REPLAYED, JSON
from shared.project.expressions import compile_value
from shared.project.media import is_json
from shared.project.steps.work import OperationSettings, is_expected
from shared.project.written import to_json
from shared.telemetry.span import Span
from shared.telemetry.tracing import context_of, sent

# so often it is looked whether a call that was made before has ended
_LOOK_AGAIN_S = 0.5
# calls under one place that have failed; more are nobody's tries
_MOST_FAILED = 100


class OperationStep:
    """One call; the trace goes along, and a key of its effect."""

    effect = True

    def __init__(self, settings: OperationSettings, _: Compiler) -> None:
        """Compiles the expressions once."""
        self._settings = settings
        self._wanted = compile_value({"params": settings.params, "body": settings.body})

    async def run(self, scene: Scene) -> dict[str, Any]:
        """Call. Raises UpstreamFailed, TimedOut, WorkflowFailed."""
        settings, surroundings, execution = self._settings, scene.surroundings, scene.execution
        if execution.depth >= surroundings.max_depth:
            raise WorkflowFailed(f"{execution.depth} operations stand behind this one already, each called by the one "
                                 "before (WEIR_EXECUTOR_MAX_DEPTH)", kind="too-deep")
        wanted = await rendered(self._wanted, scene)
        digest = None
        if settings.credential is not None:
            digest = surroundings.credentials.digest(execution.project, settings.credential, topics.REQUESTS_INTERNAL)
        timeout_ms, now_ms = min(settings.timeout_ms, scene.left_ms()), surroundings.clock.now_ms()
        body = b"" if wanted["body"] is None else to_json(wanted["body"])
        request = RequestRecord(
            request_id="", project=settings.project, operation=settings.operation, body=body,
            params={name: value for name, value in wanted["params"].items() if value is not None},
            deadline_ms=now_ms + timeout_ms, token_digest=digest, content_type=JSON if body else None,
            tracestate=execution.tracestate, baggage=execution.baggage, depth=execution.depth + 1)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                reply = await self._answered(scene, request, now_ms + timeout_ms)
        except TimeoutError:
            raise TimedOut(f"operation {settings.project}/{settings.operation} gave no answer within {timeout_ms} ms"
                           ) from None
        self._check(reply, surroundings.clock.now_ms())
        return {"status": reply.status, "headers": {name.lower(): value for name, value in reply.headers.items()},
                "body": _read(reply)}

    async def _answered(self, scene: Scene, request: RequestRecord, until_ms: int) -> ReplyRecord:
        """The answer. A durable execution may have called before: what still runs then is waited for, and after what
        failed then the next call is another one, for under the same key that failure is all there is."""
        key, failed = scene.effect_key, 0
        while True:
            reply = await self._asked(scene, request if key is None else replace(
                request, idempotency_key=_known_by(key, failed)), until_ms)
            if key is None:
                return reply
            if reply.status == IdempotencyRunning.status and _code_of(reply) == IdempotencyRunning.reason:
                await asyncio.sleep(_LOOK_AGAIN_S)
            elif HTTP_REPLAYED in reply.headers and failed < _MOST_FAILED and not is_expected(
                    reply.status, self._settings.expect):
                failed += 1
            else:
                return reply

    @staticmethod
    async def _asked(scene: Scene, request: RequestRecord, until_ms: int) -> ReplyRecord:
        """The answer to one request. Raises UpstreamFailed."""
        surroundings, now_ms = scene.surroundings, scene.surroundings.clock.now_ms()
        sending = surroundings.tracing.send(topics.REQUESTS_INTERNAL, scene.trace)
        request = replace(request, request_id=ids.request_id(now_ms),
                          traceparent=str(context_of(sending, scene.trace)))
        try:
            reply = await surroundings.neighbours.ask(request, max(1, until_ms - now_ms), _Watching(sending))
        except Refused as exc:
            raise UpstreamFailed(f"operation {request.project}/{request.operation} could not be called: {exc}",
                                 members={"upstream_status": exc.status}) from exc
        if sending is not None:
            _received(scene, reply)
        return reply

    def _check(self, reply: ReplyRecord, now_ms: int) -> None:
        settings, status = self._settings, reply.status
        if reply.sequence is not None:
            raise WorkflowFailed(f"operation {settings.project}/{settings.operation} answers with events; a step calls "
                                 "those that give one answer", kind="answers-in-parts")
        if is_expected(status, settings.expect):
            return
        raise UpstreamFailed(
            f"operation {settings.project}/{settings.operation} answered {status}{_code(reply)}",
            members={"upstream_status": status, **asked_to_wait(reply.headers, now_ms)})


class _Watching:
    """Ends the span of the record when the broker has it."""

    def __init__(self, sending: Span | None) -> None:
        self._sending = sending

    def published(self, acknowledged: asyncio.Future[None]) -> None:
        sent(self._sending, [acknowledged])

    def came_late(self, reply: ReplyRecord) -> None:
        """The time is over, and the step has failed."""


def _received(scene: Scene, reply: ReplyRecord) -> None:
    """The answer is here."""
    surroundings, under = scene.surroundings, TraceContext.parse(reply.traceparent)
    if under is None:
        return
    received = surroundings.tracing.process(
        topics.REPLIES, under, max(0, surroundings.clock.now_ms() - reply.placed_ms) * 1000)
    if received is not None:
        received.end()


def _known_by(key: str, failed: int) -> str:
    """The key of a call, after so many under its place that have failed."""
    made = f"{key}~{failed + 1}" if failed else key
    return made if len(made) <= LONGEST_KEY else hashlib.sha256(made.encode()).hexdigest()


def _code(reply: ReplyRecord) -> str:
    found = _code_of(reply)
    return "" if found is None else f" ({found})"


def _code_of(reply: ReplyRecord) -> Any:
    found = _read(reply)
    return found.get("code") if isinstance(found, dict) else None


def _read(reply: ReplyRecord) -> Any:
    if not reply.body:
        return None
    if reply.content_type is not None and is_json(reply.content_type):
        return orjson.loads(reply.body)
    return reply.body.decode(errors="replace")
