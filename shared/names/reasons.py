"""The stable reason codes of answers, usage events and metrics.

In:    nothing.
Out:   `Reason`; its value is the `code` member of a problem+json answer.
Never: statuses or texts; those stand in `shared/errors.py`.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a request ended as it did. `OK` is the one that is no refusal."""

    OK = "ok"
    INPUT_INVALID = "input-invalid"
    CREDENTIALS_MISSING = "credentials-missing"
    CREDENTIALS_INVALID = "credentials-invalid"
    CREDENTIALS_EXPIRED = "credentials-expired"
    BLOCKED = "blocked"
    ACCESS_REJECTED = "access-rejected"
    OPERATION_NOT_FOUND = "operation-not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    BODY_TOO_LARGE = "body-too-large"
    MEDIA_TYPE_UNSUPPORTED = "media-type-unsupported"
    IDEMPOTENCY_MISMATCH = "idempotency-mismatch"
    IDEMPOTENCY_RUNNING = "idempotency-running"
    RATE_LIMITED = "rate-limited"
    ALLOWANCE_EXHAUSTED = "allowance-exhausted"
    WORKFLOW_FAILED = "workflow-failed"
    TASKS_SPENT = "tasks-spent"
    REPLY_INVALID = "reply-invalid"
    UPSTREAM_FAILED = "upstream-failed"
    OVERLOADED = "overloaded"
    OPERATION_DISABLED = "operation-disabled"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    CLIENT_GONE = "client-gone"
    STREAM_BROKEN = "stream-broken"
    WORKFLOW_STOPPED = "workflow-stopped"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
