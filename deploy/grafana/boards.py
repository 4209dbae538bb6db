"""What the dashboards show.

In:    the metrics that services tell.
Out:   `BOARDS`; `python -m deploy.grafana` writes them as JSON.
Never: a metric or a label spelled here: they come from the list.
"""

from deploy.grafana.panels import Board, Panel, Query
from shared.names import metrics as M
from shared.names.metrics import Family

_CHOSEN = 'project=~"$project", operation=~"$operation"'
_PROJECT = 'project=~"$project"'
_PER = "[$__rate_interval]"
_SECONDS, _PART, _NUMBER = "s", "percentunit", "short"
# of requests, and of whatever else is counted
_CALLS_PER_SECOND, _PER_SECOND = "reqps", "cps"


def rate(family: Family, by: str, where: str = "") -> str:
    """How many a second of a counter, or of what a histogram has seen."""
    name = f"{family.name}_count" if family.kind == "histogram" else f"{family.name}_total"
    return f"sum by ({by}) (rate({name}{{{where}}}{_PER}))"


def quantile(part: float, family: Family, by: str, where: str = "") -> str:
    """The time within which a part of all stays."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({part}, sum by ({labels}) (rate({family.name}_bucket{{{where}}}{_PER})))"


def share(family: Family, by: str, where: str) -> str:
    """How large a part of a counter those with these labels are."""
    return f"{rate(family, by, f'{where}, {_CHOSEN}')} / {rate(family, by, _CHOSEN)}"


def newest(family: Family, by: str, where: str = "") -> str:
    """The greatest value of a gauge."""
    return f"max by ({by}) ({family.name}{{{where}}})"


def growth(family: Family, by: str, where: str = "") -> str:
    """How much a counter grew within five minutes."""
    return f"sum by ({by}) (increase({family.name}_total{{{where}}}[5m]))"


REQUEST_PATH = Board("weir-request-path", "Weir: request path", "What callers meet, and in which hop the time goes", (
    Panel("Answers by status", "Every HTTP answer of the edge", _CALLS_PER_SECOND, (
        Query(rate(M.ANSWERS, "status", _CHOSEN), "{{status}}"),)),
    Panel("Answers of 500 and above", "Part of all answers, by operation", _PART, (
        Query(share(M.ANSWERS, "project, operation", 'status=~"5.."'), "{{project}}/{{operation}}"),)),
    Panel("Time at the edge", "From request to answer; the dots are traces", _SECONDS, (
        Query(quantile(0.5, M.REQUEST_SECONDS, "", _CHOSEN), "p50"),
        Query(quantile(0.95, M.REQUEST_SECONDS, "", _CHOSEN), "p95"),
        Query(quantile(0.99, M.REQUEST_SECONDS, "", _CHOSEN), "p99", exemplar=True))),
    Panel("p99 by operation", "From request to answer", _SECONDS, (
        Query(quantile(0.99, M.REQUEST_SECONDS, "project, operation", _CHOSEN), "{{project}}/{{operation}}"),)),
    Panel("p99 in queues", "Before a record is read in a hop; `replies` is the way back", _SECONDS, (
        Query(quantile(0.99, M.HOP_SECONDS, "hop", f'part="{M.QUEUE}"'), "{{hop}}"),)),
    Panel("p99 of work", "After a record is read in a hop", _SECONDS, (
        Query(quantile(0.99, M.HOP_SECONDS, "hop", f'part="{M.WORK}"'), "{{hop}}"),)),
    Panel("Bounds", "How much of each bound is taken; past 1 callers are refused", _PART, (
        Query(f"{M.BOUND_USED.name} / {M.BOUND_LIMIT.name}", "{{instance}} {{bound}}"),)),
    Panel("Requests in flight", "Those that wait for their answer", _NUMBER, (
        Query(newest(M.IN_FLIGHT, "service, instance"), "{{instance}}"),)),
    Panel("p99 lag of event loops", "Above 100 ms something holds a process up", _SECONDS, (
        Query(quantile(0.99, M.LOOP_LAG_SECONDS, "service, instance"), "{{instance}}"),)),
    Panel("Warnings and errors in logs", "By action", _PER_SECOND, (
        Query(rate(M.LOG_LINES, "service, action"), "{{service}} {{action}}"),)),
), (("project", M.ANSWERS.name + "_total"), ("operation", M.ANSWERS.name + "_total")))

POLICY = Board("weir-policy", "Weir: policy", "Who is let in, who is not, and how much is left", (
    Panel("Refusals by code", "Requests that policy or the edge ended", _CALLS_PER_SECOND, (
        Query(rate(M.REQUESTS, "reason", f'reason!="ok", service=~"policy|ingress", {_CHOSEN}'), "{{reason}}"),)),
    Panel("Refusals by operation", "The same, by operation", _CALLS_PER_SECOND, (
        Query(rate(M.REQUESTS, "project, operation", f'reason!="ok", service=~"policy|ingress", {_CHOSEN}'),
              "{{project}}/{{operation}}"),)),
    Panel("Limits nearly spent", "Calls that left less than a tenth of a limit", _CALLS_PER_SECOND, (
        Query(rate(M.LIMITS_NEAR, "project, limit", _PROJECT), "{{project}} {{limit}}"),)),
    Panel("Calls decided without the store", "Each instance keeps its share of limits then", _CALLS_PER_SECOND, (
        Query(rate(M.LIMITS_LOCAL, "instance", 'service="policy"'), "{{instance}}"),)),
    Panel("What observing policies would have done", "By outcome", _CALLS_PER_SECOND, (
        Query(rate(M.OBSERVED, "project, outcome", _PROJECT), "{{project}} {{outcome}}"),)),
    Panel("Signals in force", "Who is watched, throttled or blocked", _NUMBER, (
        Query(newest(M.SIGNALS, "action"), "{{action}}"),)),
    Panel("Findings of abuse detectors", "By detector and what it did", _PER_SECOND, (
        Query(rate(M.FINDINGS, "project, detector, action", _PROJECT), "{{project}} {{detector}} {{action}}"),)),
    Panel("Time of decisions", "Queue before policy, work in it", _SECONDS, (
        Query(quantile(0.99, M.HOP_SECONDS, "part", 'hop="policy"'), "p99 {{part}}"),
        Query(quantile(0.5, M.HOP_SECONDS, "part", 'hop="policy"'), "p50 {{part}}"))),
), (("project", M.REQUESTS.name + "_total"), ("operation", M.REQUESTS.name + "_total")))

WORKFLOWS = Board("weir-workflows", "Weir: workflows", "What runs, for how long, and how it ends", (
    Panel("Executions", "By operation", _CALLS_PER_SECOND, (
        Query(rate(M.EXECUTION_SECONDS, "project, operation", _CHOSEN), "{{project}}/{{operation}}"),)),
    Panel("p99 of executions", "The dots are traces", _SECONDS, (
        Query(quantile(0.99, M.EXECUTION_SECONDS, "project, operation", _CHOSEN), "{{project}}/{{operation}}",
              exemplar=True),)),
    Panel("Executions that did not end well", "By code", _CALLS_PER_SECOND, (
        Query(rate(M.REQUESTS, "project, reason", f'reason!="ok", service="executor", {_CHOSEN}'),
              "{{project}} {{reason}}"),)),
    Panel("Steps tried once more", "An outside system that fails shows here first", _PER_SECOND, (
        Query(rate(M.RETRIES, "project, operation", _CHOSEN), "{{project}}/{{operation}}"),)),
    Panel("Tasks", "What owners pay for", _PER_SECOND, (
        Query(rate(M.TASKS, "project", _PROJECT), "{{project}}"),)),
    Panel("Requests that came too late", "Their deadline had passed before anything ran", _CALLS_PER_SECOND, (
        Query(rate(M.EXPIRED, "service"), "{{service}}"),)),
    Panel("Executions under way", "Per executor, beside what it may hold", _NUMBER, (
        Query(newest(M.RECORDS_OPEN, "instance", 'service="executor"'), "{{instance}}"),
        Query(newest(M.BOUND_LIMIT, "instance", 'service="executor", bound="records"'), "{{instance}} at most"))),
    Panel("Time in the executor", "Queue before it, work in it", _SECONDS, (
        Query(quantile(0.99, M.HOP_SECONDS, "part", 'hop="executor"'), "p99 {{part}}"),)),
), (("project", M.EXECUTION_SECONDS.name + "_count"), ("operation", M.EXECUTION_SECONDS.name + "_count")))

USAGE = Board("weir-usage", "Weir: usage", "Is everything counted, once and soon?", (
    Panel("Usage events written", "By kind", _PER_SECOND, (Query(rate(M.USAGE_EVENTS, "kind"), "{{kind}}"),)),
    Panel("Usage events that analytics read", "`repeated` ones came again and were not counted", _PER_SECOND, (
        Query(rate(M.USAGE_COUNTED, "as"), "{{as}}"),)),
    Panel("Envelopes that came again or never", "Missing ones have a number and have not come", _NUMBER, (
        Query(growth(M.ENVELOPES_REPEATED, "instance", 'service="analytics"'), "{{instance}} repeated"),
        Query(newest(M.ENVELOPES_MISSING, "instance"), "{{instance}} missing"))),
    Panel("Age of the oldest envelope not counted", "How far usage is behind", _SECONDS, (
        Query(newest(M.OLDEST_SECONDS, "instance", 'consumer="weir-analytics"'), "{{instance}}"),)),
    Panel("Tasks by project", "Tasks run", _PER_SECOND, (Query(rate(M.TASKS, "project"), "{{project}}"),)),
    Panel("Requests by project", "Ended at the edge, in policy or in the executor", _CALLS_PER_SECOND, (
        Query(rate(M.REQUESTS, "project"), "{{project}}"),)),
))

KAFKA = Board("weir-kafka", "Weir: Kafka and Redis", "What services wait for", (
    Panel("Lag", "Records that are not read, by topic", _NUMBER, (
        Query(f"sum by (topic) ({M.CONSUMER_LAG.name})", "{{topic}}"),)),
    Panel("Age of the oldest record", "Not finished, or not read", _SECONDS, (
        Query(newest(M.OLDEST_SECONDS, "consumer"), "{{consumer}}"),)),
    Panel("Records read", "By topic", _PER_SECOND, (Query(rate(M.RECORDS_CONSUMED, "topic"), "{{topic}}"),)),
    Panel("Time until a batch is acknowledged", "p99 by topic", _SECONDS, (
        Query(quantile(0.99, M.SEND_SECONDS, "topic"), "{{topic}}"),)),
    Panel("Kafka errors", "Sends and commits that failed", _PER_SECOND, (
        Query(rate(M.KAFKA_ERRORS, "service, what"), "{{service}} {{what}}"),)),
    Panel("Dead letters", "New ones within five minutes, and those that wait", _NUMBER, (
        Query(growth(M.DEAD_LETTERS, "service, topic"), "{{service}} {{topic}}"),
        Query(f"max({M.DEAD_LETTERS_WAITING.name})", "waiting"))),
    Panel("Round trips to Redis", "p99 by command", _SECONDS, (
        Query(quantile(0.99, M.STORE_SECONDS, "command"), "{{command}}"),)),
    Panel("Redis errors", "Time-outs and refusals", _PER_SECOND, (
        Query(rate(M.STORE_ERRORS, "service, command"), "{{service}} {{command}}"),)),
    Panel("Replies that nobody waits for", "Late ones, and those of others", _PER_SECOND, (
        Query(rate(M.REPLIES_DROPPED, "why"), "{{why}}"),)),
    Panel("Spans and series", "What could not be exported or counted by itself", _PER_SECOND, (
        Query(rate(M.SPANS_DROPPED, "service"), "{{service}} spans"),
        Query(rate(M.SERIES_FOLDED, "metric"), "{{metric}}"))),
    Panel("What runs", "Versions", _NUMBER, (
        Query(f"count by (role, version, python) ({M.BUILD_INFO.name})", "{{role}} {{version}} {{python}}"),)),
    Panel("Ready", "0 where a service cannot work", _NUMBER, (
        Query(f"min by (service, instance) ({M.READY.name})", "{{instance}}"),)),
    Panel("Configuration", "All lines are one when every service has read the same", _NUMBER, (
        Query(newest(M.CONFIG_OFFSET, "service, instance"), "{{instance}}"),)),
))

BOARDS = (REQUEST_PATH, POLICY, WORKFLOWS, USAGE, KAFKA)
