"""Every metric that a service tells: name, kind, labels, what it means.

In:    nothing.
Out:   one `Family` each; the page on metrics is made from them, dashboards and alerts are checked against them.
Never: a metric or a label spelled anywhere else; a label that callers can choose (ids, paths, addresses).

Prometheus shows a counter as `<name>_total`, a histogram as `<name>_bucket`, `_sum` and `_count`.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric, and the labels of its series."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


# what callers meet
ANSWERS = Family("weir_answers", "counter", "HTTP answers of the edge",
                 ("project", "operation", "status"))
REQUEST_SECONDS = Family("weir_request_seconds", "histogram", "Time at the edge, from request to answer",
                         ("project", "operation"))
REQUESTS = Family("weir_requests", "counter", "Requests that ended in this service, refusals by their code",
                  ("project", "operation", "reason"))
EXECUTION_SECONDS = Family("weir_execution_seconds", "histogram", "Time that a workflow ran, whoever called it",
                           ("project", "operation"))

# where the time goes: values of the label `part`
QUEUE, WORK = "queue", "work"
HOP_SECONDS = Family("weir_hop_seconds", "histogram",
                     "Time of a request in one hop: queue is before it is read there, work is after",
                     ("hop", "part"))
SEND_SECONDS = Family("weir_send_seconds", "histogram", "Time until Kafka acknowledges a batch", ("topic",))
STORE_SECONDS = Family("weir_store_seconds", "histogram", "Time of one round trip to Redis", ("command",))
LOOP_LAG_SECONDS = Family("weir_loop_lag_seconds", "histogram",
                          "How late the event loop comes back to something that is due")

# what waits, and what may wait
BOUND_USED = Family("weir_bound_used", "gauge", "How much of a bound is taken now", ("bound",))
BOUND_LIMIT = Family("weir_bound_limit", "gauge", "What a bound allows", ("bound",))
IN_FLIGHT = Family("weir_in_flight", "gauge", "Requests that wait for their answer")
PLACES = Family("weir_places", "gauge", "Calls that the edge lets be under way: fewer when the cluster's queues grow")
IN_LINE = Family("weir_in_line", "gauge", "Calls that wait at the edge for a place")
RECORDS_OPEN = Family("weir_records_open", "gauge", "Records read and not finished")
RECORDS_CONSUMED = Family("weir_records_consumed", "counter", "Records read", ("topic",))
CONSUMER_LAG = Family("weir_consumer_lag", "gauge", "Records in the topic that are not read", ("topic", "partition"))
OLDEST_SECONDS = Family("weir_oldest_record_seconds", "gauge",
                        "Age of the oldest record read and not finished, or how long one that waits is not read",
                        ("consumer",))

# what owners set
OBSERVED = Family("weir_observed_outcomes", "counter", "What policies that only report would have done",
                  ("project", "outcome"))
LIMITS_NEAR = Family("weir_limits_near", "counter",
                     "Calls that left less than a tenth of a limit, or met a spent smooth one", ("project", "limit"))
LIMITS_LOCAL = Family("weir_limits_local", "counter", "Calls whose limits were kept by one instance alone: no store")
SIGNALS = Family("weir_signals", "gauge", "Signals in force: who is watched, throttled or blocked", ("action",))
FINDINGS = Family("weir_findings", "counter", "Signals that detectors of abuse have given",
                  ("project", "detector", "action"))
SIGNALS_TOLD = Family("weir_signals_told", "counter", "Signals that a webhook was told of; given-up: it did not listen",
                      ("how",))
SIGHTINGS_PASSED_OVER = Family("weir_sightings_passed_over", "counter",
                               "What no detector of abuse has seen: too much at once, or no store")
TASKS = Family("weir_tasks", "counter", "Tasks run", ("project",))
RETRIES = Family("weir_retries", "counter", "Steps tried once more", ("project", "operation"))
EXPIRED = Family("weir_requests_expired", "counter", "Requests dropped because their deadline had passed")
USAGE_EVENTS = Family("weir_usage_events", "counter", "Usage events written", ("kind",))
USAGE_COUNTED = Family("weir_usage_counted", "counter", "Usage events that analytics read", ("as",))
ENVELOPES_REPEATED = Family("weir_usage_envelopes_repeated", "counter",
                            "Usage envelopes that came again, and were not counted")
SINK_EVENTS = Family("weir_sink_events", "counter", "Usage events that a sink has handed on, envelopes not readable",
                     ("as",))
ENVELOPES_MISSING = Family("weir_usage_envelopes_missing", "gauge",
                           "Usage envelopes that have a number and never came")

# what went wrong
DEAD_LETTERS = Family("weir_dead_letters", "counter", "Records moved to the dead letters", ("topic",))
DEAD_LETTERS_WAITING = Family("weir_dead_letters_waiting", "gauge",
                              "Dead letters that nobody has replayed or dropped; only control tells")
REPLIES_DROPPED = Family("weir_replies_dropped", "counter", "Replies that nobody waits for", ("why",))
KAFKA_ERRORS = Family("weir_kafka_errors", "counter", "What Kafka did not do: send, commit; elsewhere: send to a topic "
                      "that a caller or a workflow has named", ("what",))
STORE_ERRORS = Family("weir_store_errors", "counter", "What Redis did not answer in time, or refused", ("command",))
SPANS_DROPPED = Family("weir_spans_dropped", "counter", "Spans that could not be exported")
LOG_LINES = Family("weir_log_lines", "counter", "Log lines of level warning and above", ("level", "action"))
SERIES_FOLDED = Family("weir_series_folded", "counter",
                       "Counts that went to `other`: the metric has as many series as it may have", ("metric",))
ADMIN_REFUSED = Family("weir_admin_refused", "counter",
                       "Calls of the admin API with no admin token, or a wrong one; only control tells", ("reason",))

# what runs
BUILD_INFO = Family("weir_build_info", "gauge", "Always 1; what runs stands in the labels",
                    ("role", "name", "version", "python"))
READY = Family("weir_ready", "gauge", "1 when the service can do its work")
CONFIG_OFFSET = Family("weir_config_offset", "gauge", "Next offset of the config topic")

FAMILIES: tuple[Family, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Family))
