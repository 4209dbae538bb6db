"""The traces of executions: sampled ones as they happen, others afterwards where nobody else would.

In:    execution records, scenes, answers.
Out:   spans; what an answer carries so that a trace can be made where it arrives.
Never: a span for an unsampled execution that went well. What is answered over the edge is the edge's to tell.
"""

import time
from itertools import pairwise
from urllib.parse import quote

from services.executor.scene import Scene
from shared.contracts.execution import ExecutionRecord
from shared.contracts.ids import made_ms
from shared.contracts.reply import ReplyRecord
from shared.contracts.traceparent import TraceContext
from shared.kafka.record import Record
from shared.names import spans, topics
from shared.names.reasons import Reason
from shared.project.canary import CANARY
from shared.telemetry.late_spans import STEP, LateTrace
from shared.telemetry.span import Span, Value
from shared.telemetry.tracing import Tracing

GROUP = "weir-executor"
ACCEPTED = 202


class ExecutorTraces:
    """Of one executor process."""

    def __init__(self, tracing: Tracing, slow_ms: int) -> None:
        """`slow_ms`: where neither an operation nor its project says anything."""
        self._tracing, self._slow_us = tracing, slow_ms * 1000

    def begin(self, execution: ExecutionRecord, record: Record, trace: TraceContext, queue_us: int) -> Span | None:
        """The span of an execution; None when unsampled."""
        if not trace.sampled:
            return None
        return self._tracing.process(topics.EXECUTIONS, trace, queue_us, {
            spans.MESSAGING_PARTITION: str(record.partition), spans.MESSAGING_OFFSET: record.offset,
            spans.MESSAGING_GROUP: GROUP, spans.MESSAGING_BODY_SIZE: len(execution.body),
            spans.REQUEST_ID: execution.request_id, spans.PROJECT: execution.project,
            spans.OPERATION: execution.operation, spans.CLIENT: execution.client, spans.SOURCE: execution.source})

    def ended(self, span: Span | None, scene: Scene, status: int, reason: Reason) -> None:
        """Say how it ended."""
        if span is not None:
            span.note({spans.STATUS: status, spans.REASON: str(reason), spans.TASKS: scene.tally.tasks})
            if status >= 500:
                span.fail(str(reason), str(reason))

    def sending(self, scene: Scene, topic: str, size: int) -> Span | None:
        """The span of the answer."""
        if not scene.trace.sampled:
            return None
        return self._tracing.send(topic, scene.trace, {spans.MESSAGING_BODY_SIZE: size})

    def worth_telling(self, scene: Scene, status: int, timing: dict[str, int]) -> bool:
        """Whether a trace may be made of it; from half of what is slow on, for the rest of the way adds to it."""
        return not scene.trace.sampled and scene.execution.project != CANARY.name and (
            status >= 500 or scene.rule.is_slow(2 * sum(timing.values()), self._slow_us))

    def afterwards(self, scene: Scene, reply: ReplyRecord, reason: Reason, step: str | None) -> None:
        """An execution that was worth telling, if nobody further out tells of it."""
        execution, reply_to = scene.execution, scene.execution.reply_to
        slow = reply.status >= 500 or scene.rule.is_slow(sum(
            took for hop, took in reply.timing.items() if not hop.startswith(STEP)), self._slow_us)
        if not slow or (execution.source == "edge" and reply_to is not None):
            return
        ended_us, timing = time.time_ns() // 1000, dict(reply.timing)
        before_us = timing.get("policy-queue", 0) + timing.get("policy", 0)
        began_us = ended_us - before_us - timing["executor-queue"] - timing["executor"]
        if execution.source == "edge":
            # one that was parked, or redelivered, has waited for longer than its last record
            began_us = min(began_us, made_ms(execution.request_id) * 1000)
            timing["executor-queue"] = ended_us - began_us - before_us - timing["executor"]
        self._tracing.afterwards(LateTrace(
            trace=scene.trace, began_us=began_us, ended_us=ended_us, published_us=began_us, source=execution.source,
            answered=reply_to is not None, reply_topic=reply_to.topic if reply_to is not None else topics.REPLIES,
            server=self._server(scene) if execution.source == "edge" else None, told_us=began_us + before_us,
            request_id=execution.request_id, project=execution.project, operation=execution.operation,
            client=execution.client, workflow=scene.workflow, status=reply.status, reason=str(reason), timing=timing,
            failed_step=step or ""))

    def _server(self, scene: Scene) -> tuple[str, dict[str, Value]]:
        """The request that was answered before it ran."""
        trigger = scene.execution.trigger
        method, route = str(trigger.get("method", "")), f"/{scene.execution.project}{scene.route}"
        path = route
        for name, value in trigger.get("path", {}).items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        return spans.server(method, route), {
            spans.HTTP_METHOD: method, spans.HTTP_ROUTE: route, spans.HTTP_STATUS: ACCEPTED, spans.URL_PATH: path,
            spans.URL_SCHEME: "http"}


def with_steps(scene: Scene, timing: dict[str, int], now_us: int) -> dict[str, int]:
    """Timing with the steps of the main walk, one after the other."""
    laps = [*(scene.laps or ()), ("", now_us)]
    return timing | {f"{STEP}{step_id}": after_us - at_us
                     for (step_id, at_us), (_, after_us) in pairwise(laps)}
