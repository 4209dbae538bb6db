"""Prometheus metric names and their labels.

In:    nothing.
Out:   constants; dashboards and alerts are checked against them.
Never: a metric name spelled anywhere else.
"""

REQUESTS = "weir_requests"
REQUEST_SECONDS = "weir_request_seconds"
IN_FLIGHT = "weir_in_flight"
REPLIES_DROPPED = "weir_replies_dropped"
RECORDS_CONSUMED = "weir_records_consumed"
RECORDS_OPEN = "weir_records_open"
DEAD_LETTERS = "weir_dead_letters"
OBSERVED = "weir_observed_outcomes"
LIMITS_LOCAL = "weir_limits_local"
EXPIRED = "weir_requests_expired"
TASKS = "weir_tasks"
USAGE_EVENTS = "weir_usage_events"
USAGE_COUNTED = "weir_usage_counted"
ENVELOPES_REPEATED = "weir_usage_envelopes_repeated"
CONFIG_OFFSET = "weir_config_offset"
SPANS_DROPPED = "weir_spans_dropped"
