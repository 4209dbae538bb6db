"""The answers of an operation, as an OpenAPI 3.1 document has them.

In:    an operation, its project, what its workflow may answer.
Out:   responses by status: the workflow's own, and every problem of the platform.
Never: a status without a description; a word about how the workflow comes to an answer.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.names.headers import EVENT_STREAM, JSON, PROBLEM_JSON
from shared.project.model import Operation, Project, ReplySchema
from shared.project.modes import RESULTS
from shared.project.openapi_schemas import Components
from shared.project.outcomes import Outcomes, Replied

_PROBLEM_REF, _RESPONSE = {"$ref": "#/components/schemas/Problem"}, "#/components/responses/Problem"
_ACCEPTED_REF = {"$ref": "#/components/schemas/Accepted"}
_FORMS = {"text": {"type": "string"}, "multipart": {"type": "object"},
          "application/x-www-form-urlencoded": {"type": "object"}}
_BODILESS = (204, 205, 304)
_UNTOLD = "The workflow's answer"
_UNDECLARED = ReplySchema(description=_UNTOLD)
_REQUEST_ID = {"X-Request-Id": {"description": "Id of the request; say it when you ask for help",
                                "schema": {"type": "string", "format": "uuid"}}}
_RETRY = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
_RESULT = {"Location": {"description": "Where its result will be", "schema": {"type": "string"}}}
_APPLIED = {"Preference-Applied": {"description": "What of `Prefer` was followed", "schema": {"type": "string"}}}
_SAID = {
    401: {"WWW-Authenticate": {"description": "How to prove who calls", "schema": {"type": "string"}}},
    405: {"Allow": {"description": "Methods that the path takes", "schema": {"type": "string"}}},
    403: _RETRY, 409: _RETRY, 429: _RETRY, 503: _RETRY, 504: {**_RESULT, **_APPLIED}}
_TEXTS = {
    400: "The request or its idempotency key is not as it has to be (`input-invalid`); `errors` lists the misfits of "
         "the schemas",
    401: "Credentials are missing, not valid or expired (`credentials-missing`, `-invalid`, `-expired`)",
    403: "A policy rejects the call (`access-rejected`), or the caller is blocked (`blocked`, with `Retry-After` where "
         "that ends by itself)",
    404: "No such operation (`operation-not-found`)",
    405: "The path takes other methods (`method-not-allowed`)",
    408: "The body came too slowly (`body-too-slow`)",
    409: "The idempotency key belongs to another request, or to one that runs (`idempotency-mismatch`, `-running`); a "
         "stream that cannot go on after one of its events (`conflict`)",
    413: "The body is too large (`body-too-large`)",
    415: "The body is of a media type that the operation does not take (`media-type-unsupported`)",
    429: "A limit or an allowance is spent (`rate-limited`, `allowance-exhausted`); `Retry-After` says how long",
    500: "The workflow failed (`workflow-failed`, `tasks-spent`), or its reply does not fit (`reply-invalid`)",
    502: "An outside system failed (`upstream-failed`)",
    503: "Overloaded, disabled, stopped or unavailable (`overloaded`, `operation-disabled`, `workflow-stopped`, "
         "`unavailable`), or ended by an operator (`cancelled`)",
    504: "No answer in time, or within what `Prefer: wait` allows (`timeout`); `Location` says where it will be if the "
         "work goes on",
}
PROBLEM: dict[str, Any] = {
    "type": "object", "description": "RFC 9457 problem details",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string"}, "code": {"type": "string", "description": "Stable reason code"},
        "request_id": {"type": "string"}, "retry": {"enum": ["never", "later"]},
        **{name: {"type": kind, "description": text} for name, kind, text in (
            ("policy", "string", "Which one rejects"), ("limit", "string", "Which one is spent"),
            ("allowance", "string", "Which one is spent"), ("signal", "string", "Who has found that the caller is to "
             "be blocked or throttled"), ("step", "string", "Of the workflow, that failed"),
            ("attempt", "integer", "Which try of the step failed last"), ("error", "string", "What the workflow's "
             "owner calls it"), ("upstream_status", "integer", "What the outside system answered"),
            ("execution", "string", "What goes on"), ("result", "string", "Where its result will be"))},
        "errors": {"type": "array", "items": {"type": "object", "properties": {
            "in": {"enum": ["body", "query", "path", "headers"]},
            "pointer": {"type": "string", "description": "JSON pointer (RFC 6901)"},
            "message": {"type": "string"}}}},
    },
}
ACCEPTED: dict[str, Any] = {
    "type": "object", "description": "It will run, or runs", "required": ["execution", "status"],
    "properties": {"execution": {"type": "string"}, "status": {"enum": ["accepted"]},
                   "result": {"type": "string", "description": "Where its result will be, if anybody may ask for it"}}}
EXECUTION: dict[str, Any] = {
    "type": "object", "description": "How an execution stands; times in unix milliseconds",
    "required": ["execution", "operation", "status", "steps", "tasks", "accepted"],
    "properties": {
        "execution": {"type": "string"}, "operation": {"type": "string"},
        "status": {"enum": ["accepted", "running", "waiting", "succeeded", "failed", "cancelled"]},
        "steps": {"type": "array", "items": {"type": "string"}, "description": "Those that are done"},
        "tasks": {"type": "integer"}, "accepted": {"type": "integer"}, "ended": {"type": "integer"},
        "until": {"type": "integer", "description": "Of one that waits: when it goes on"},
        "result": {"type": "object", "description": "Once it has ended: the answer", "properties": {
            "status": {"type": "integer"}, "headers": {"type": "object"}, "body": {}}}}}


def responses_of(project: Project, operation: Operation, outcomes: Outcomes, components: Components, *,
                 body: bool, media: bool) -> dict[str, Any]:
    """By status. `body`: whether a call may have one; `media`: whether of some media types alone."""
    replies = outcomes.replies(operation)
    if operation.mode == "events":
        responses = {status: answer for status, answer in _replies(operation, replies, components).items()
                     if not status.startswith("2")}
        responses = {"200": _answer("Server-sent events as they come; the last one is `end`, or `error` with a problem "
                                    "document", content={EVENT_STREAM: {"schema": {"type": "string"}}}), **responses}
    elif operation.mode != "request_response":
        responses = {"202": _accepted("it runs after this answer", kept=operation.mode == "validate")}
    else:
        responses = _replies(operation, replies, components)
        responses.setdefault("202", _accepted("the call asked for it by `Prefer: respond-async`", kept=True))
    # whatever an operation takes: a key may be none, and a proof that nobody asked for no good
    possible = {408: body, 415: media}
    for status in _TEXTS:
        if possible.get(status, True):
            _add_problem(responses, status)
    if operation.mode in ("events", "request_response"):
        for status in outcomes.failures(operation):
            _add_problem(responses, status, "A step of the workflow ends it with an error (`workflow-failed`)")
    _add_refusals(project, operation, responses)
    return responses


def responses_of_results(project: Project) -> dict[str, Any]:
    """Of the operation by which every project tells results."""
    told = _answer("How it stands, to the client that made the call; `Retry-After` says when to ask again, if it goes "
                   "on", _RETRY, {JSON: {"schema": {"$ref": "#/components/schemas/Execution"}}})
    unknown = "No such execution of the caller, or its result is not kept any more (`not-found`)"
    responses: dict[str, Any] = {"200": told, "404": _answer(unknown)}
    for status in _TEXTS:
        if status not in (408, 415, 502):
            _add_problem(responses, status)
    _add_refusals(project, RESULTS, responses)
    return responses


def any_body(media: str) -> dict[str, Any]:
    """One that no schema describes. Of a media type without any, tools make answers and requests without a body."""
    return {"schema": _FORMS.get(media) or _FORMS.get(media.partition("/")[0], {})}


def shared_responses(used: Iterable[str | None]) -> dict[str, Any]:
    """Components, by name. `used`: all references."""
    there = set(used)
    return {f"Problem{status}": _answer(text, _SAID.get(status)) for status, text in _TEXTS.items()
            if _RESPONSE + str(status) in there}


def _add_problem(responses: dict[str, Any], status: int, why: str = "") -> None:
    """To a reply of that status, or by itself."""
    ours = {"$ref": _RESPONSE + str(status)} if status in _TEXTS else _answer(why)
    declared = responses.setdefault(str(status), ours)
    if "$ref" not in declared:
        own = declared.get("content") or {JSON: any_body(JSON)}
        declared["content"] = {**own, PROBLEM_JSON: {"schema": _PROBLEM_REF}}
        declared["headers"] = {**_SAID.get(status, {}), **declared["headers"]}


def _add_refusals(project: Project, operation: Operation, responses: dict[str, Any]) -> None:
    for policy in project.policies:
        if policy.status is not None and policy.enforced and policy.speaks_of(operation.name):
            _add_problem(responses, policy.status, "A policy rejects the call (`access-rejected`)")


def _replies(operation: Operation, replies: Iterable[Replied], components: Components) -> dict[str, Any]:
    """The workflow's own answers: those that are declared, and those that its steps give beside them."""
    given: dict[int, dict[str, list[Replied]]] = {}
    for name in operation.replies:
        given.setdefault(operation.reply_status(name) or 200, {})[name] = []
    for reply in replies:
        given.setdefault(reply.status, {}).setdefault(reply.name, []).append(reply)
    return {str(status): _given(operation, status, named, components) for status, named in given.items()} or {
        "200": _answer(_UNTOLD, content={JSON: any_body(JSON)})}


def _given(operation: Operation, status: int, named: Mapping[str, list[Replied]], components: Components) -> Any:
    """All replies of one status, by name, as one answer."""
    told, headers, bodies = [], dict[str, Any](), dict[str, list[Any]]()
    for name, steps in named.items():
        reply, place = operation.replies.get(name, _UNDECLARED), f"{operation.name}.replies.{name}"
        told.append(reply.description or name)
        described, _ = components.members(components.take(f"{place}.headers", reply.headers))
        headers |= {header: {"schema": schema} for header, schema in described.items()}
        # of one that no step gives, its schema alone tells that it has a body
        medias = {step.media for step in steps if step.media is not None} or ({JSON} if reply.body is not None else ())
        for media in sorted(medias) if status not in _BODILESS else ():
            bodies.setdefault(media, []).append(
                any_body(media) if reply.body is None else {"schema": components.use(f"{place}.body", reply.body)})
    return _answer("; ".join(dict.fromkeys(told)), headers, {media: _one_of(any_) for media, any_ in bodies.items()})


def _one_of(bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """Some body of several."""
    return bodies[0] if len(bodies) == 1 else {"schema": {"anyOf": [body["schema"] for body in bodies]}}


def _accepted(why: str, *, kept: bool) -> dict[str, Any]:
    return _answer(f"Accepted; {why}", {**(_RESULT if kept else {}), **_APPLIED}, {JSON: {"schema": _ACCEPTED_REF}})


def _answer(description: str, headers: dict[str, Any] | None = None,
            content: dict[str, Any] | None = None) -> dict[str, Any]:
    """With a problem document where nothing else is said."""
    made: dict[str, Any] = {"description": description, "headers": {**_REQUEST_ID, **(headers or {})}}
    said = {PROBLEM_JSON: {"schema": _PROBLEM_REF}} if content is None else content
    return {**made, "content": said} if said else made
