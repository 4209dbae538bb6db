"""A project as an OpenAPI 3.1 document.

In:    a project, its base URL.
Out:   the document: parameters, bodies, replies, every problem answer, security.
Never: anything that a caller does not see: workflows, config values.
"""

from collections.abc import Collection
from typing import Any

from shared.project.model import Operation, Project, Schema

_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
_JSON, _PROBLEM_JSON = "application/json", "application/problem+json"
_REQUEST_ID = {"X-Request-Id": {"description": "Id of the request; say it when you ask for help",
                                "schema": {"type": "string", "format": "uuid"}}}
_RETRY = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
_TEXTS = {
    400: "The request does not fit the schemas (`input-invalid`); `errors` lists every misfit",
    401: "Credentials are missing, not valid or expired (`credentials-missing`, `-invalid`, `-expired`)",
    403: "A policy rejects the call (`access-rejected`), or the caller is blocked (`blocked`)",
    404: "No such operation (`operation-not-found`)",
    405: "The path takes other methods (`method-not-allowed`)",
    408: "The body came too slowly (`body-too-slow`)",
    413: "The body is too large (`body-too-large`)",
    415: "The body is not JSON (`media-type-unsupported`)",
    429: "A limit or an allowance is spent (`rate-limited`, `allowance-exhausted`); `Retry-After` says how long",
    500: "The workflow failed (`workflow-failed`), or its reply does not fit (`reply-invalid`)",
    502: "An outside system failed (`upstream-failed`)",
    503: "Overloaded, disabled or unavailable (`overloaded`, `operation-disabled`, `unavailable`)",
    504: "No answer in time (`timeout`)",
}
_PROBLEM: dict[str, Any] = {
    "type": "object", "description": "RFC 9457 problem details",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string"}, "code": {"type": "string", "description": "Stable reason code"},
        "request_id": {"type": "string"}, "retry": {"enum": ["never", "later"]},
        "errors": {"type": "array", "items": {"type": "object", "properties": {
            "in": {"enum": ["body", "query", "path", "headers"]},
            "pointer": {"type": "string", "description": "JSON pointer (RFC 6901)"},
            "message": {"type": "string"}}}},
    },
}


def openapi(project: Project, base_url: str) -> dict[str, Any]:
    """OpenAPI 3.1 of all operations, the disabled ones marked as deprecated."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in project.operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(project, operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": project.title or project.name, "version": project.version or "0",
                 "description": project.description},
        "servers": [{"url": base_url}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "responses": {f"Problem{status}": _problem(status) for status in _TEXTS},
            "securitySchemes": _schemes(project),
        },
        "security": _any_of(project, project.authentication.kinds()),
    }


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


def _operation(project: Project, operation: Operation) -> dict[str, Any]:
    out: dict[str, Any] = {
        "operationId": operation.name, "summary": operation.title or operation.summary or operation.name,
        "parameters": _parameters(operation), "responses": _responses(operation)}
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
        out["requestBody"] = {"required": True, "content": {_JSON: {"schema": operation.input.body}}}
    return out


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters = []
    described = _properties(operation.input.path)
    for name in sorted(operation.path_parameters):
        parameters.append(_parameter("path", name, described.get(name, {"type": "string"}), required=True))
    for place, schema in (("query", operation.input.query), ("header", operation.input.headers)):
        required = schema.get("required", []) if isinstance(schema, dict) else []
        parameters += [_parameter(place, name, sub, required=name in required)
                       for name, sub in _properties(schema).items()]
    return parameters


def _parameter(place: str, name: str, schema: Any, *, required: bool) -> dict[str, Any]:
    described = {"description": schema["description"]} if isinstance(schema, dict) and "description" in schema else {}
    return {"name": name, "in": place, "required": required, **described, "schema": schema}


def _properties(schema: Schema | None) -> dict[str, Any]:
    found = schema.get("properties", {}) if isinstance(schema, dict) else {}
    return found if isinstance(found, dict) else {}


def _responses(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for name, reply in operation.replies.items():
        headers = {header: {"schema": schema} for header, schema in _properties(reply.headers).items()}
        answer: dict[str, Any] = {"description": reply.description or name, "headers": {**_REQUEST_ID, **headers}}
        if reply.body is not None:
            answer["content"] = {_JSON: {"schema": reply.body}}
        responses[str(operation.reply_status(name) or 200)] = answer
    if operation.mode == "events":
        responses["200"] = {"description": "Server-sent events as they come; the last one is `end`, or `error` with a "
                                           "problem document", "headers": _REQUEST_ID,
                            "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    elif operation.mode != "request_response":
        responses = {"202": {"description": "Accepted; it runs after this answer", "content": {_JSON: {}}, "headers": {
            **_REQUEST_ID, **({"Location": {"schema": {"type": "string"}, "description": "Where its result will be"}}
                              if operation.mode == "validate" else {})}}}
    if not responses:
        responses["200"] = {"description": "The workflow's answer", "headers": _REQUEST_ID, "content": {_JSON: {}}}
    for status in _problems_of(operation):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
    return responses


def _problems_of(operation: Operation) -> list[int]:
    takes = operation.input
    reads_body = takes.body is not None
    has_input = reads_body or takes.path is not None or takes.query is not None or takes.headers is not None
    possible = {400: has_input, 401: not operation.public, 408: reads_body, 413: True, 415: reads_body}
    return [status for status in _TEXTS if possible.get(status, True)]


def _problem(status: int) -> dict[str, Any]:
    headers = {**_REQUEST_ID, **(_RETRY if status in (429, 503) else {})}
    return {"description": _TEXTS[status], "headers": headers, "content": {_PROBLEM_JSON: {"schema": _PROBLEM_REF}}}
