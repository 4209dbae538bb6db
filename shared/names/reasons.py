"""The stable reason codes of answers, usage events and metrics.

In:    nothing.
Out:   `Reason`; its value is the `code` member of a problem+json answer. `STEP_ERRORS`: what steps may fail with.
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
    BODY_TOO_SLOW = "body-too-slow"
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


# by which `retry.on` and `errors.<step>.kind` know an error of a step; `fail` steps and connectors have others
STEP_ERRORS = frozenset({
    *map(str, (Reason.WORKFLOW_FAILED, Reason.UPSTREAM_FAILED, Reason.TIMEOUT, Reason.INPUT_INVALID, Reason.UNAVAILABLE,
               Reason.WORKFLOW_STOPPED)),
    "address-refused", "answers-in-parts", "call-failed", "call-too-deep", "connector-failed", "credential-missing",
    "credential-unusable", "event-too-large", "expression-timeout", "expression-too-deep", "expression-too-large",
    "output-invalid", "output-too-large", "output-unusable", "publish-failed", "record-too-large", "redirect-refused",
    "response-too-large", "script-error", "script-memory", "script-timeout", "step-broken", "storage-key-empty",
    "store-unavailable", "stored-otherwise", "stored-too-large", "stream-ended", "too-deep", "too-many-passes",
    "topic-refused"})
