"""The trace of a request that was not sampled and turned out to matter, made afterwards. Pure.

In:    what one service knows of the request: its own times, and the microseconds per hop that the answer carries.
Out:   spans of every hop that it came to, with the names and attributes that live ones have, and `weir.late`.
Never: a clock; a span outside of the time that the request took.

Queue times are known to the millisecond, for the broker stamps records so: they give way where the sum is too large.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from shared.contracts.traceparent import TraceContext
from shared.names import spans, topics
from shared.telemetry.span import Attributes, Kind, Resource, Span, messaging

STEP = "step "
_HOPS = (("policy", "weir-policy"), ("executor", "weir-executor"))


class LateTrace(Struct, frozen=True, kw_only=True):
    """Times in unix microseconds. `trace`: its span id becomes that of the first span; `parent_id`: above that one.

    `server`: name and attributes of the HTTP request, when it was one; `told_us`: when it was answered, if that was
    before the work had ended. `published_us`: 0 when it never was. `answered`:
    whether an answer came back over `reply_topic`. `timing`: as in `ReplyRecord`; steps of the workflow under
    `step <id>`. `failed_step`: the one that failed.
    """

    trace: TraceContext
    parent_id: str = ""
    began_us: int
    ended_us: int
    published_us: int = 0
    answered: bool = True
    reply_topic: str = topics.REPLIES
    server: tuple[str, Attributes] | None = None
    told_us: int = 0
    request_id: str
    project: str
    operation: str
    client: str = ""
    workflow: str = ""
    source: str = "edge"
    status: int
    reason: str
    detail: str = ""
    timing: Mapping[str, int] = {}
    failed_step: str = ""

    @property
    def topic(self) -> str:
        """Where the request was published."""
        return topics.REQUESTS_EDGE if self.source == "edge" else topics.REQUESTS_INTERNAL

    def facts(self) -> dict[str, str | int | float | bool]:
        """What every span says of its request."""
        said: dict[str, str | int | float | bool] = {
            spans.REQUEST_ID: self.request_id, spans.PROJECT: self.project,
            spans.OPERATION: self.operation, spans.STATUS: self.status}
        if self.client:
            said[spans.CLIENT] = self.client
        return said


def late_spans(late: LateTrace, keep: Callable[[Span], None]) -> None:
    """The whole trace, from the service where it began."""
    maker = _Maker(late, keep)
    if late.server is None:
        maker.hops(late.began_us, "", late.trace.span_id)
        return
    name, attributes = late.server
    root = maker.span(name, Kind.SERVER, ("weir-ingress", late.parent_id, late.trace.span_id),
                      (late.began_us, late.told_us or late.ended_us), {**late.facts(), **attributes})
    if not late.told_us:
        root.note({spans.REASON: late.reason})
        if late.status >= 500:
            root.fail(late.detail or late.reason, str(late.status))
        if late.published_us and not late.answered:
            root.events = [(root.end_ns, spans.NO_REPLY, {})]
    if late.published_us:
        maker.hops(late.published_us, maker.send(late.topic, "weir-ingress", late.trace.span_id, late.published_us))


def hop_spans(late: LateTrace, keep: Callable[[Span], None]) -> None:
    """What was missing of a trace whose first part is made already: the hops, under the request's own span."""
    _Maker(late, keep).hops(late.published_us, late.trace.span_id)


class _Maker:
    def __init__(self, late: LateTrace, keep: Callable[[Span], None]) -> None:
        self._late, self._keep = late, keep

    def span(self, name: str, kind: Kind, place: tuple[str, str, str], times: tuple[int, int],
             attributes: Attributes) -> Span:
        """`place`: service, id of the parent, own id or nothing."""
        service, parent_id, own_id = place
        trace_id = self._late.trace.trace_id
        made = Span(name, kind, TraceContext(trace_id, parent_id, True, not parent_id), Resource(service), self._keep)
        if own_id:
            made.context = TraceContext(trace_id, own_id, sampled=True)
        made.note({spans.LATE: True, **attributes})
        made.start_ns, made.end_ns = times[0] * 1000, max(times) * 1000
        self._keep(made)
        return made

    def send(self, topic: str, service: str, parent_id: str, at_us: int) -> str:
        """When the broker had it is not known. Its id."""
        return self.span(spans.send(topic), Kind.PRODUCER, (service, parent_id, ""), (at_us, at_us),
                         messaging("send", topic)).context.span_id

    def hops(self, at_us: int, parent_id: str, own_id: str = "") -> None:
        """`own_id`: of the first one, when the trace begins with it."""
        late, topic, at = self._late, self._late.topic, at_us
        reached = [(hop, service) for hop, service in _HOPS if hop in late.timing]
        times = _fitting([(late.timing.get(f"{hop}-queue", 0), late.timing[hop]) for hop, _ in reached],
                         max(0, late.ended_us - at_us))
        for number, ((hop, service), (queue_us, work_us)) in enumerate(zip(reached, times, strict=True)):
            if number:
                topic = topics.EXECUTIONS
                parent_id = self.send(topic, reached[number - 1][1], parent_id, at)
            begin, at = at + queue_us, at + queue_us + work_us
            own = self.span(spans.process(topic), Kind.CONSUMER, (service, parent_id, "" if number else own_id),
                            (begin, at), {**late.facts(), **_consumed(topic, queue_us), spans.SOURCE: late.source})
            parent_id = own.context.span_id
            if hop == "executor":
                self._steps(parent_id, begin, at)
            if number == len(reached) - 1:
                own.note({spans.REASON: late.reason})
                self._blame(own)
                self._answer(service, parent_id, at)

    def _answer(self, service: str, parent_id: str, at_us: int) -> None:
        late = self._late
        if late.answered:
            replied = self.send(late.reply_topic, service, parent_id, at_us)
            if late.server is not None:
                self.span(spans.process(late.reply_topic), Kind.CONSUMER, ("weir-ingress", replied, ""),
                          (late.ended_us, late.ended_us), _consumed(late.reply_topic, late.ended_us - at_us))

    def _blame(self, made: Span) -> None:
        if self._late.status >= 500:
            made.fail(self._late.detail or self._late.reason, self._late.reason)

    def _steps(self, parent_id: str, begin_us: int, end_us: int) -> None:
        """They ran one after the other."""
        late = self._late
        run = self.span(spans.workflow(late.workflow), Kind.INTERNAL, ("weir-executor", parent_id, ""),
                        (begin_us, end_us), {spans.WORKFLOW: late.workflow})
        self._blame(run)
        at = begin_us
        for name, took_us in late.timing.items():
            if name.startswith(STEP):
                step_id, start, at = name.removeprefix(STEP), at, min(end_us, at + max(0, took_us))
                made = self.span(spans.step(step_id), Kind.INTERNAL, ("weir-executor", run.context.span_id, ""),
                                 (start, at), {spans.STEP_ID: step_id})
                if step_id == late.failed_step:
                    self._blame(made)


def _consumed(topic: str, queue_us: int) -> Attributes:
    return {**messaging("process", topic), spans.QUEUE_US: queue_us}


def _fitting(hops: Sequence[tuple[int, int]], room_us: int) -> list[tuple[int, int]]:
    """Queue and work of each hop, so that all fit into the time: queues give way first."""
    hops = [(max(0, queue), max(0, work)) for queue, work in hops]
    queues, works = sum(queue for queue, _ in hops), sum(work for _, work in hops)
    for_queues = max(0, room_us - works)
    if queues > for_queues:
        hops = [(queue * for_queues // queues, work) for queue, work in hops]
    if works > room_us:
        hops = [(queue, work * room_us // works) for queue, work in hops]
    return hops
