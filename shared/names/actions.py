"""The `action` of every log line: stable, so that lines can be counted and searched.

In:    nothing.
Out:   constants.
Never: a log line without one.
"""

SERVICE_STARTING = "service-starting"
SERVICE_READY = "service-ready"
SERVICE_STOPPING = "service-stopping"
SERVICE_STOPPED = "service-stopped"
SERVICE_FAILED = "service-failed"
TASK_FAILED = "task-failed"
CONFIG_UNREADABLE = "config-unreadable"
SINK_WAITS = "sink-waits"
SINK_LOST = "sink-lost"
ENVELOPE_MISSING = "envelope-missing"
ENVELOPE_REPEATED = "envelope-repeated"
RECORD_DEAD = "record-dead"
REPLY_LOST = "reply-lost"
COMMIT_FAILED = "commit-failed"
SEND_STALLED = "send-stalled"
STORE_AWAY = "store-away"
KEYS_AWAY = "keys-away"
LEASE_TAKEN = "lease-taken"
LEASE_LOST = "lease-lost"
KAFKA_RETRY = "kafka-retry"
REQUEST_ENDED = "request-ended"
REQUEST_FAILED = "request-failed"
UPSTREAM_FAILED = "upstream-failed"
ABUSE_FOUND = "abuse-found"
CANARY_FAILED = "canary-failed"
LOG_LEVEL = "log-level"
LIBRARY = "library"
