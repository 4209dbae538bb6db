"""One span: what was done, where, from when to when.

In:    names and attributes from `names/spans.py`, times in unix nanoseconds.
Out:   `Span`, handed to its sink when it ends.
Never: a library's span: one of the official SDK costs five times as much to make and to encode (decision 0024).
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum

from msgspec import Struct

from shared.contracts.traceparent import TraceContext
from shared.names import spans

Value = str | int | float | bool
Attributes = Mapping[str, Value]
MAX_EVENTS = 100
_MAX_TEXT = 1_000


class Kind(IntEnum):
    """As OTLP numbers them."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Resource(Struct, frozen=True):
    """Who made a span. `instance` is empty for a span that another process has made for the service."""

    service: str
    instance: str = ""


def messaging(doing: str, topic: str) -> dict[str, Value]:
    """What the conventions want of a span that is about a record; `doing`: send or process."""
    return {spans.MESSAGING_SYSTEM: spans.KAFKA, spans.MESSAGING_OPERATION_NAME: doing,
            spans.MESSAGING_OPERATION_TYPE: doing, spans.MESSAGING_DESTINATION: topic}


class Span:
    """Open until `end`; `context` is what goes on to whoever works below it."""

    __slots__ = ("attributes", "context", "end_ns", "error", "events", "kind", "links", "name", "parent_id", "resource",
                 "sink", "start_ns")

    def __init__(self, name: str, kind: Kind, under: TraceContext, resource: Resource,
                 sink: Callable[["Span"], None]) -> None:
        """Begins now."""
        self.name, self.kind, self.resource, self.sink = name, kind, resource, sink
        self.context = TraceContext(under.trace_id, os.urandom(8).hex(), sampled=True, random=under.random)
        self.parent_id = "" if under.root else under.span_id
        self.attributes: dict[str, Value] = {}
        # most have none, and an empty list costs, too
        self.events: Sequence[tuple[int, str, Attributes]] = ()
        self.links: Sequence[TraceContext] = ()
        self.error: str | None = None
        self.start_ns, self.end_ns = time.time_ns(), 0

    def note(self, attributes: Attributes) -> None:
        """Say more about it."""
        self.attributes.update(attributes)

    def event(self, name: str, attributes: Attributes) -> None:
        """Something happened meanwhile; of very many, the first are kept."""
        if len(self.events) < MAX_EVENTS:
            self.events = [*self.events, (time.time_ns(), name, attributes)]

    def fail(self, what: str, kind: str) -> None:
        """It did not end well; `kind`: a stable name of the error."""
        self.error = what[:_MAX_TEXT]
        self.attributes[spans.ERROR_TYPE] = kind

    def end(self) -> None:
        """It is over; a second time changes nothing."""
        if not self.end_ns:
            self.end_ns = time.time_ns()
            self.sink(self)
