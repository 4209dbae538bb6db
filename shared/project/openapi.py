"""A project as an OpenAPI 3.1 document.

In:    a project, its base URL.
Out:   the document: parameters, bodies, replies, every problem answer, security.
Never: anything that a caller does not see: workflows, config values.
"""

from collections.abc import Collection
from typing import Any

from shared.project.model import PARAMETER, Operation, Project
from shared.project.modes import RESULTS
from shared.project.openapi_schemas import Components

_PROBLEM_REF, _RESPONSE = {"$ref": "#/components/schemas/Problem"}, "#/components/responses/Problem"
_JSON, _PROBLEM_JSON = "application/json", "application/problem+json"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_REQUEST_ID = {"X-Request-Id": {"description": "Id of the request; say it when you ask for help",
                                "schema": {"type": "string", "format": "uuid"}}}
_RETRY = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
_RESULT = {"Location": {"description": "Where its result will be", "schema": {"type": "string"}}}
_APPLIED = {"Preference-Applied": {"description": "What of `Prefer` was followed", "schema": {"type": "string"}}}
_SAID = {
    401: {"WWW-Authenticate": {"description": "How to prove who calls", "schema": {"type": "string"}}},
    405: {"Allow": {"description": "Methods that the path takes", "schema": {"type": "string"}}},
    403: _RETRY, 409: _RETRY, 429: _RETRY, 503: _RETRY, 504: _RESULT}
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
    415: "The body is not JSON (`media-type-unsupported`)",
    429: "A limit or an allowance is spent (`rate-limited`, `allowance-exhausted`); `Retry-After` says how long",
    500: "The workflow failed (`workflow-failed`, `tasks-spent`), or its reply does not fit (`reply-invalid`)",
    502: "An outside system failed (`upstream-failed`)",
    503: "Overloaded, disabled, stopped or unavailable (`overloaded`, `operation-disabled`, `workflow-stopped`, "
         "`unavailable`), or ended by an operator (`cancelled`)",
    504: "No answer in time, or within what `Prefer: wait` allows (`timeout`); `Location` says where it will be if the "
         "work goes on",
}
_PROBLEM: dict[str, Any] = {
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
_EXECUTION: dict[str, Any] = {
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


def openapi(project: Project, base_url: str) -> dict[str, Any]:
    """OpenAPI 3.1 of all operations, the disabled ones marked as deprecated."""
    paths: dict[str, dict[str, Any]] = {}
    components = Components({"Problem": _PROBLEM})
    spelled: dict[str, str] = {}
    for operation in project.operations:
        # two paths that differ in names of parameters alone are one (OpenAPI 3.1, 4.8.8.2): as the first spells it
        path = spelled.setdefault(PARAMETER.sub("{}", operation.path), operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(project, operation, path, components)
    if any(operation.mode != "events" for operation in project.operations):
        components.schemas["Execution"] = _EXECUTION
        paths[RESULTS.path] = {"get": _results(project)}
    used = [response.get("$ref") for path in paths.values() for one in path.values()
            for response in one["responses"].values()]
    tags = dict.fromkeys(tag for operation in project.operations for tag in operation.tags)
    return {
        "openapi": "3.1.0",
        "info": {"title": project.title or project.name, "version": project.version or "0",
                 "description": project.description},
        "servers": [{"url": base_url}],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "responses": {f"Problem{status}": _problem(status) for status in _TEXTS if _RESPONSE + str(status) in used},
            "securitySchemes": _schemes(project),
        },
        "security": _any_of(project, project.authentication.kinds()),
    }


def _results(project: Project) -> dict[str, Any]:
    """What became of a call that was answered before it had run."""
    open_to_all: list[dict[str, list[str]]] = [{}] if any(operation.public for operation in project.operations) else []
    return {
        "operationId": RESULTS.name, "summary": RESULTS.title,
        "parameters": [_parameter("path", "id", {"type": "string"}, required=True)],
        "security": _any_of(project, project.authentication.kinds()) + open_to_all,
        "responses": {
            "200": {"description": "How it stands, to the client that made the call; `Retry-After` says when to ask "
                                   "again, if it goes on", "headers": {**_REQUEST_ID, **_RETRY},
                    "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Execution"}}}},
            "404": _answer("No such execution of the caller, or its result is not kept any more (`not-found`)"),
            **{str(status): {"$ref": _RESPONSE + str(status)} for status in (401, 403, 429, 500, 503, 504)}}}


def _schemes(project: Project) -> dict[str, Any]:
    """Every way to prove who calls, by name."""
    authentication, schemes = project.authentication, dict[str, Any]()
    if authentication.token:
        schemes["token"] = {"type": "http", "scheme": "bearer",
                            "description": "A token of one of the project's clients"}
    if authentication.api_key is not None:
        for place in ("header", "query"):
            if (name := getattr(authentication.api_key, place)) is not None:
                schemes[f"api_key_{place}"] = {"type": "apiKey", "in": place, "name": name}
    if authentication.jwt:
        issuers = ", ".join(scheme.issuer for scheme in authentication.jwt)
        schemes["jwt"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": f"Of {issuers}"}
    if authentication.signature:
        schemes["signature"] = {"type": "apiKey", "in": "header", "name": "webhook-signature",
                                "description": "A message signed by the Standard Webhooks specification"}
    if authentication.certificate:
        schemes["certificate"] = {"type": "mutualTLS"}
    return schemes


def _any_of(project: Project, kinds: Collection[str]) -> list[dict[str, list[str]]]:
    return [{name: []} for name in _schemes(project) if name in kinds or name.rpartition("_")[0] in kinds]


def _operation(project: Project, operation: Operation, path: str, components: Components) -> dict[str, Any]:
    out: dict[str, Any] = {
        "operationId": operation.name, "summary": operation.title or operation.summary or operation.name,
        "parameters": _parameters(project, operation, path, components),
        "responses": _responses(project, operation, components)}
    if operation.description:
        out["description"] = operation.description
    if operation.tags:
        out["tags"] = list(operation.tags)
    if operation.public:
        out["security"] = []
    elif operation.authentication is not None:
        out["security"] = _any_of(project, project.kinds_of(operation))
    if not operation.enabled:
        out["deprecated"] = True
    if operation.input.body is not None:
        out["requestBody"] = {"required": True, "content": {
            _JSON: {"schema": components.use(f"{operation.name}.body", operation.input.body)}}}
    elif operation.method in _WITH_BODY:
        # its workflow may read one all the same, and of a document that names none no client is made that sends it
        out["requestBody"] = {"content": {_JSON: {"schema": {}}}}
    return out


def _parameters(project: Project, operation: Operation, spelled: str, components: Components) -> list[dict[str, Any]]:
    (path, _), query, headers = (
        components.members(components.take(f"{operation.name}.{place}", getattr(operation.input, place)))
        for place in ("path", "query", "headers"))
    text = {"type": "string"}
    named = zip(PARAMETER.findall(operation.path), PARAMETER.findall(spelled), strict=True)
    parameters = [_parameter("path", shown, path.get(name, text), required=True) for name, shown in sorted(named)]
    for place, (known, required) in (("query", query), ("header", headers)):
        known |= {name: text for name in required if name not in known}
        parameters += [_parameter(place, name, sub, required=name in required) for name, sub in known.items()]
    sent = {one["name"].lower(): one for one in parameters if one["in"] == "header"}
    for name in _asked_headers(project, operation):
        sent.setdefault(name.lower(), _parameter("header", name, text, required=True))["required"] = True
    for form in project.headers:
        for name, pattern in form.match.items() if form.speaks_of(operation.name) else ():
            # not as `pattern`, which is of JavaScript
            sent.setdefault(name.lower(), _parameter("header", name, text, required=False)).setdefault(
                "description", f"Has to match {pattern}")
    return [one for one in parameters if one["in"] != "header"] + list(sent.values())


def _asked_headers(project: Project, operation: Operation) -> list[str]:
    """That a call has to have beside those of its schema."""
    key = ["Idempotency-Key"] if operation.idempotency.required else []
    return key + [name for form in project.headers if form.speaks_of(operation.name) for name in form.require]


def _parameter(place: str, name: str, schema: Any, *, required: bool) -> dict[str, Any]:
    described = {"description": schema["description"]} if isinstance(schema, dict) and "description" in schema else {}
    return {"name": name, "in": place, "required": required, **described, "schema": schema}


def _responses(project: Project, operation: Operation, components: Components) -> dict[str, Any]:
    if operation.mode == "events":
        responses: dict[str, Any] = {"200": {
            "description": "Server-sent events as they come; the last one is `end`, or `error` with a problem document",
            "headers": _REQUEST_ID, "content": {"text/event-stream": {"schema": {"type": "string"}}}}}
    elif operation.mode != "request_response":
        responses = {"202": _accepted("it runs after this answer", kept=operation.mode == "validate")}
    else:
        responses = _replies(operation, components)
        responses.setdefault("202", _accepted("the call asked for it by `Prefer: respond-async`", kept=True))
    for status in _problems_of(operation):
        declared = responses.setdefault(str(status), {"$ref": _RESPONSE + str(status)})
        if "$ref" not in declared:
            declared["content"] = {_JSON: {}, **declared.get("content", {}), _PROBLEM_JSON: {"schema": _PROBLEM_REF}}
    for policy in project.policies:
        if policy.status is not None and policy.enforced and policy.speaks_of(operation.name):
            responses.setdefault(str(policy.status), _answer("A policy rejects the call (`access-rejected`)"))
    return responses


def _replies(operation: Operation, components: Components) -> dict[str, Any]:
    """The workflow's own answers."""
    responses: dict[str, Any] = {}
    for name, reply in operation.replies.items():
        place = f"{operation.name}.replies.{name}"
        described, _ = components.members(components.take(f"{place}.headers", reply.headers))
        headers = {header: {"schema": schema} for header, schema in described.items()}
        answer: dict[str, Any] = {"description": reply.description or name, "headers": {**_REQUEST_ID, **headers}}
        if reply.body is not None:
            answer["content"] = {_JSON: {"schema": components.use(f"{place}.body", reply.body)}}
        responses[str(operation.reply_status(name) or 200)] = answer
    return responses or {"200": {"description": "The workflow's answer", "headers": _REQUEST_ID,
                                 "content": {_JSON: {}}}}


def _accepted(why: str, *, kept: bool) -> dict[str, Any]:
    return {"description": f"Accepted; {why}", "content": {_JSON: {}},
            "headers": {**_REQUEST_ID, **(_RESULT if kept else {}), **_APPLIED}}


def _problems_of(operation: Operation) -> list[int]:
    # whatever an operation takes: a key may be none, and a proof that nobody asked for no good
    possible = {408: operation.input.body is not None, 415: operation.input.body is not None}
    return [status for status in _TEXTS if possible.get(status, True)]


def _problem(status: int) -> dict[str, Any]:
    return _answer(_TEXTS[status], _SAID.get(status))


def _answer(description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "headers": {**_REQUEST_ID, **(headers or {})},
            "content": {_PROBLEM_JSON: {"schema": _PROBLEM_REF}}}
