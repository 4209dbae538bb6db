"""Every error that a caller can meet, as one tree; the class fixes its code, status, blame and whether to retry.

    WeirError
    ├── BadRecord              a record that is no request at all: dead letter
    ├── Refused                the caller gets an answer; nothing ran
    │   ├── MessageUnreadable, InputInvalid 400          ├── CredentialsMissing/Invalid/Expired 401
    │   ├── Blocked 403                  ├── AccessRejected 403, or what its policy says
    │   ├── OperationNotFound, ExecutionNotFound 404     ├── MethodNotAllowed 405
    │   ├── BodyTooSlow 408
    │   ├── BodyTooLarge 413             ├── MediaTypeUnsupported 415
    │   ├── IdempotencyMismatch, IdempotencyRunning 409
    │   ├── RateLimited, AllowanceExhausted 429
    │   ├── StreamNotResumable 409
    │   └── Overloaded, OperationDisabled, WorkflowStopped, Unavailable 503
    └── Failed                 something ran and did not end well
        ├── WorkflowFailed 500, or what its `fail` step says
        ├── TasksSpent, ReplyInvalid 500
        ├── UpstreamFailed 502
        ├── StreamBroken 502
        ├── Cancelled 503, or 499 when the caller has gone
        └── TimedOut 504

In:    nothing.
Out:   the classes, and `problem` which writes the RFC 9457 body.
Never: HTTP, Kafka, a status chosen at the place where an error is raised.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from shared.names.reasons import Reason

PROBLEM_TYPES = "https://weir.dev/problems"
# what ended with one of them may go well another time (RFC 9110, 15.6.3 to 15.6.5; RFC 6585, 4)
_PASSING = frozenset({429, 502, 503, 504})


class Blame(StrEnum):
    """Whose fault an error is."""

    CALLER = "caller"
    OWNER = "owner"
    OUTSIDE = "outside"
    PLATFORM = "platform"


class Retry(StrEnum):
    """Whether the same call may go through later."""

    NEVER = "never"
    LATER = "later"


class WeirError(Exception):
    """Root of the tree. `str(error)` is the `detail` that the caller reads."""

    reason: ClassVar[Reason] = Reason.WORKFLOW_FAILED
    title: ClassVar[str] = "Internal error"
    status: int = 500
    blame: ClassVar[Blame] = Blame.PLATFORM
    retry: Retry = Retry.NEVER

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None,
                 members: Mapping[str, object] | None = None) -> None:
        """`headers` go beside the answer (Allow, Retry-After); `members` are further members of the problem body."""
        super().__init__(detail)
        self.headers: Mapping[str, str] = headers or {}
        self.members: Mapping[str, object] = members or {}


class BadRecord(WeirError):
    """A record that cannot be read as what its topic carries; it becomes a dead letter."""

    title, status, blame = "Unreadable record", 400, Blame.CALLER
    reason = Reason.INPUT_INVALID


class Refused(WeirError):
    """The call was not let in: nothing ran and no task is charged; of one that had begun, what had run is."""

    blame = Blame.CALLER


class MessageUnreadable(Refused):
    """What came is no HTTP message, or its body is not what its head says."""

    reason, title, status = Reason.INPUT_INVALID, "The HTTP message cannot be read", 400


class InputInvalid(Refused):
    """The request does not fit the operation's schemas; `errors` lists every misfit with its JSON pointer."""

    reason, title, status = Reason.INPUT_INVALID, "The request does not fit the operation's schemas", 400


class CredentialsMissing(Refused):
    """The operation needs a token and none came."""

    reason, title, status = Reason.CREDENTIALS_MISSING, "Credentials are missing", 401


class CredentialsInvalid(Refused):
    """A token came that is not one of the project's."""

    reason, title, status = Reason.CREDENTIALS_INVALID, "Credentials are not valid", 401


class CredentialsExpired(Refused):
    """A token came that was valid once."""

    reason, title, status = Reason.CREDENTIALS_EXPIRED, "Credentials have expired", 401


class Blocked(Refused):
    """A signal blocks the caller: a detector has found abuse, or a person has decided so."""

    reason, title, status = Reason.BLOCKED, "The caller is blocked", 403
    retry = Retry.LATER


class AccessRejected(Refused):
    """A policy of the project's owner refuses the call; the owner may have chosen another status."""

    reason, title, status = Reason.ACCESS_REJECTED, "Access is rejected", 403

    def __init__(self, detail: str, *, status: int | None = None, policy: str | None = None,
                 headers: Mapping[str, str] | None = None) -> None:
        """`policy`: the name of the one that refuses; None when none accepts. `headers`: what the status asks for."""
        super().__init__(detail, headers=headers, members={} if policy is None else {"policy": policy})
        self.status = status or type(self).status


class OperationNotFound(Refused):
    """No operation has this project, method and path."""

    reason, title, status = Reason.OPERATION_NOT_FOUND, "No such operation", 404


class ExecutionNotFound(Refused):
    """No execution of the caller's has this id, or its result is not kept any more."""

    reason, title, status = Reason.NOT_FOUND, "No such execution", 404


class MethodNotAllowed(Refused):
    """The path exists under other methods; `Allow` names them."""

    reason, title, status = Reason.METHOD_NOT_ALLOWED, "Method not allowed", 405


class BodyTooSlow(Refused):
    """The body was not there in time."""

    reason, title, status = Reason.BODY_TOO_SLOW, "The request body came too slowly", 408
    retry = Retry.LATER


class BodyTooLarge(Refused):
    """The body is larger than the bound."""

    reason, title, status = Reason.BODY_TOO_LARGE, "The request body is too large", 413


class MediaTypeUnsupported(Refused):
    """The operation reads JSON and something else came."""

    reason, title, status = Reason.MEDIA_TYPE_UNSUPPORTED, "Unsupported media type", 415


class IdempotencyMismatch(Refused):
    """An idempotency key came again with another request."""

    reason, title, status = Reason.IDEMPOTENCY_MISMATCH, "The idempotency key was used for another request", 409


class IdempotencyRunning(Refused):
    """The first call with this idempotency key has no answer yet."""

    reason, title, status = Reason.IDEMPOTENCY_RUNNING, "The first call with this key is still running", 409
    retry = Retry.LATER


class StreamNotResumable(Refused):
    """A stream of events was asked to go on after one of them; events are not kept."""

    reason, title, status = Reason.CONFLICT, "The stream of events cannot go on", 409


class RateLimited(Refused):
    """A limit of an accept policy is spent; `Retry-After` says how long to wait."""

    reason, title, status = Reason.RATE_LIMITED, "Rate limit exceeded", 429
    retry = Retry.LATER


class AllowanceExhausted(Refused):
    """The tasks of a calendar period are spent; `Retry-After` says when the next one begins, at the latest."""

    reason, title, status = Reason.ALLOWANCE_EXHAUSTED, "The allowance is exhausted", 429
    retry = Retry.LATER


class Overloaded(Refused):
    """A bound on requests in flight is reached."""

    reason, title, status = Reason.OVERLOADED, "Too many requests in flight", 503
    blame, retry = Blame.PLATFORM, Retry.LATER


class OperationDisabled(Refused):
    """The owner has switched the operation off."""

    reason, title, status = Reason.OPERATION_DISABLED, "The operation is disabled", 503
    blame, retry = Blame.OWNER, Retry.LATER


class WorkflowStopped(Refused):
    """An operator has stopped the workflow: no run of it begins."""

    reason, title, status = Reason.WORKFLOW_STOPPED, "The workflow is stopped", 503
    blame, retry = Blame.OWNER, Retry.LATER


class Unavailable(Refused):
    """A part of the platform that the call needs is away."""

    reason, title, status = Reason.UNAVAILABLE, "Temporarily unavailable", 503
    blame, retry = Blame.PLATFORM, Retry.LATER


class Failed(WeirError):
    """The call was let in and something ran."""


class WorkflowFailed(Failed):
    """A workflow ended without an answer, or a step of it failed for a reason inside the project."""

    reason, title, status = Reason.WORKFLOW_FAILED, "The workflow failed", 500
    blame = Blame.OWNER

    def __init__(self, detail: str, *, status: int | None = None, kind: str = "") -> None:
        """`kind`: what the owner calls this error; retries and catching steps know it by that."""
        super().__init__(detail, members={"error": kind} if kind else {})
        self.status = status or type(self).status
        if self.status in _PASSING:
            self.retry = Retry.LATER


class TasksSpent(Failed):
    """The execution has run as many tasks as its workflow allows: a loop that does not end, as a rule."""

    reason, title, status = Reason.TASKS_SPENT, "The workflow ran too many tasks", 500
    blame = Blame.OWNER


class ReplyInvalid(Failed):
    """The workflow's reply does not fit the operation's reply schemas."""

    reason, title, status = Reason.REPLY_INVALID, "The reply does not fit the operation's schemas", 500
    blame = Blame.OWNER


class UpstreamFailed(Failed):
    """An outside system did not answer, or answered with an error."""

    reason, title, status = Reason.UPSTREAM_FAILED, "An outside system failed", 502
    blame, retry = Blame.OUTSIDE, Retry.LATER


class TimedOut(Failed):
    """The deadline passed before there was an answer."""

    reason, title, status = Reason.TIMEOUT, "The operation timed out", 504
    blame, retry = Blame.OUTSIDE, Retry.LATER


class StreamBroken(Failed):
    """The events of a stream are not all there, or the caller reads them too slowly."""

    reason, title, status = Reason.STREAM_BROKEN, "The stream of events is broken", 502
    blame, retry = Blame.PLATFORM, Retry.LATER


class Cancelled(Failed):
    """Somebody has ended the execution before its end."""

    reason, title, status = Reason.CANCELLED, "The execution was cancelled", 503
    blame = Blame.OWNER


class ClientGone(Cancelled):
    """The caller has closed its connection, in its own body or in a stream: nobody is there to hear the rest."""

    reason, title, status = Reason.CLIENT_GONE, "The caller has gone", 499
    blame = Blame.CALLER


# characters
MOST_DETAIL = 8_000


def problem(error: WeirError, request_id: str) -> dict[str, object]:
    """The problem+json body (RFC 9457) of an error, with Weir's members `code`, `request_id`, `retry`.

    Its detail may have come from outside, and is told no farther than MOST_DETAIL: an answer fits into a record.
    """
    detail = str(error)
    return {
        "type": f"{PROBLEM_TYPES}/{error.reason}",
        "title": error.title,
        "status": error.status,
        "detail": detail if len(detail) <= MOST_DETAIL else f"{detail[:MOST_DETAIL]}...",
        "code": str(error.reason),
        "request_id": request_id,
        "retry": str(error.retry),
        **error.members,
    }
