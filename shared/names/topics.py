"""The topics of the cluster: name, partitions, retention.

In:    nothing.
Out:   `TOPICS`, from which brokers, manifests, ACLs and AsyncAPI are made.
Never: a topic name spelled anywhere else.

Records are stored uncompressed, whoever has compressed them: our client reads gzip alone.

Partition counts suit one machine; raising them later is safe, lowering is not possible in Kafka.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MINUTE_MS = 60_000

REQUESTS_EDGE = "weir.requests.edge"
REQUESTS_INTERNAL = "weir.requests.internal"
EXECUTIONS = "weir.executions"
REPLIES = "weir.replies"
USAGE = "weir.usage"
SIGNALS = "weir.signals"
CONFIG = "weir.config"
QUERIES = "weir.queries"
DEAD_LETTERS = "weir.dead-letters"
AUDIT = "weir.audit"
SPANS = "otlp_spans"
REQUESTS = (REQUESTS_EDGE, REQUESTS_INTERNAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic: what its value is, who writes and reads it, how many partitions, which broker settings."""

    name: str
    value: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    partitions: int
    configs: Mapping[str, str] = field(default_factory=dict)


_PLAIN = {"compression.type": "uncompressed"}


def _delete(retention_ms: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(retention_ms), **_PLAIN}


_ALL = ("ingress", "policy", "executor", "analytics", "control")

TOPICS: tuple[Topic, ...] = (
    Topic(name=REQUESTS_EDGE, value="request body, raw", writers=("ingress", "control"), readers=("policy", "control"),
          partitions=4, configs=_delete(DAY_MS)),
    Topic(name=REQUESTS_INTERNAL, value="request body, raw", writers=("internal services", "executor",
          "control"), readers=("policy", "control"), partitions=4, configs=_delete(DAY_MS)),
    Topic(name=EXECUTIONS, value="request body, raw", writers=("policy", "executor", "control"),
          readers=("executor", "control"),
          partitions=4, configs=_delete(HOUR_MS)),
    Topic(name=REPLIES, value="reply body, raw", writers=("policy", "executor", "analytics"),
          readers=("ingress", "executor", "control"), partitions=8, configs=_delete(10 * MINUTE_MS)),
    Topic(name=USAGE, value="JSON envelope of usage events", writers=_ALL, readers=("analytics", "sinks", "control",
          "operators"),
          partitions=4, configs={**_delete(7 * DAY_MS), "message.timestamp.type": "LogAppendTime"}),
    Topic(name=SIGNALS, value="signal, JSON", writers=("analytics", "control"),
          readers=("ingress", "policy", "analytics", "control"), partitions=1,
          configs={"cleanup.policy": "compact,delete", "retention.ms": str(7 * DAY_MS), **_PLAIN}),
    Topic(name=CONFIG, value="one entity, JSON", writers=("control",), readers=_ALL,
          partitions=1, configs={"cleanup.policy": "compact", **_PLAIN}),
    Topic(name=QUERIES, value="usage query, JSON", writers=("control", "internal services"),
          readers=("analytics", "control"),
          partitions=1, configs=_delete(10 * MINUTE_MS)),
    Topic(name=DEAD_LETTERS, value="the original bytes; nothing in a note on one",
          writers=("policy", "executor", "analytics", "control"), readers=("control", "operators"),
          partitions=1, configs=_delete(14 * DAY_MS)),
    Topic(name=AUDIT, value="who changed what, JSON", writers=("control",), readers=("operators",),
          partitions=1, configs=_delete(400 * DAY_MS)),
    Topic(name=SPANS, value="OTLP protobuf, ExportTraceServiceRequest", writers=_ALL, readers=("collector", "control"),
          partitions=1, configs=_delete(HOUR_MS)),
)

NAMES = frozenset(topic.name for topic in TOPICS)
