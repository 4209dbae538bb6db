"""A project as an OpenAPI 3.1 document.

In:    a project, its base URL.
Out:   the document: parameters, bodies, replies, every problem answer, security.
Never: anything that a caller does not see: workflows, config values.
"""

from collections.abc import Collection
from typing import Any

from shared.names.headers import JSON
from shared.project.access.forms import is_one_of
from shared.project.media import is_json
from shared.project.model import PARAMETER, Operation, Project
from shared.project.modes import RESULTS
from shared.project.openapi_answers import (
    ACCEPTED,
    EXECUTION,
    PROBLEM,
    any_body,
    responses_of,
    responses_of_results,
    shared_responses,
)
from shared.project.openapi_schemas import Components
from shared.project.outcomes import Outcomes

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_KEY_HEADER, _KEY = "Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": 255}


def openapi(project: Project, base_url: str) -> dict[str, Any]:
    """OpenAPI 3.1 of all operations, the disabled ones marked as deprecated."""
    paths: dict[str, dict[str, Any]] = {}
    components, outcomes = Components({"Problem": PROBLEM}), Outcomes(project)
    spelled: dict[str, str] = {}
    for operation in project.operations:
        # two paths that differ in names of parameters alone are one (OpenAPI 3.1, 4.8.8.2): as the first spells it
        path = spelled.setdefault(PARAMETER.sub("{}", operation.path), operation.path)
        told = _operation(project, operation, path, outcomes, components)
        paths.setdefault(path, {})[operation.method.lower()] = told
    if any(operation.mode != "events" for operation in project.operations):
        components.schemas |= {"Execution": EXECUTION, "Accepted": ACCEPTED}
        paths[RESULTS.path] = {"get": _results(project, components)}
    used = (response.get("$ref") for path in paths.values() for one in path.values()
            for response in one["responses"].values())
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
            "responses": shared_responses(used),
            "securitySchemes": _schemes(project),
        },
        "security": _any_of(project, project.authentication.kinds()),
    }


def _results(project: Project, components: Components) -> dict[str, Any]:
    """What became of a call that was answered before it had run."""
    open_to_all: list[dict[str, list[str]]] = [{}] if any(operation.public for operation in project.operations) else []
    return {
        "operationId": RESULTS.name, "summary": RESULTS.title,
        "parameters": _parameters(project, RESULTS, RESULTS.path, components),
        "security": _any_of(project, project.authentication.kinds()) + open_to_all,
        "responses": responses_of_results(project)}


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


def _operation(project: Project, operation: Operation, path: str, outcomes: Outcomes,
               components: Components) -> dict[str, Any]:
    body, medias = _request_body(project, operation, components)
    out: dict[str, Any] = {
        "operationId": operation.name, "summary": operation.title or operation.summary or operation.name,
        "parameters": _parameters(project, operation, path, components),
        "responses": responses_of(project, operation, outcomes, components, body=body is not None,
                                  media=operation.input.body is not None or bool(medias))}
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
    return out if body is None else {**out, "requestBody": body}


def _request_body(project: Project, operation: Operation,
                  components: Components) -> tuple[dict[str, Any] | None, list[str]]:
    """What it may be, and the media types that header policies ask for, if they do."""
    asked = [form.content_types for form in project.headers if form.content_types and form.speaks_of(operation.name)]
    # all of them have to be met
    medias = [media for media in (asked[0] if asked else ())
              if all(is_one_of(media, other) for other in asked)]
    if operation.input.body is not None:
        schema = components.use(f"{operation.name}.body", operation.input.body)
        # what a schema looks at is JSON
        json = [media for media in medias if is_json(media)] or [JSON]
        return {"required": True, "content": {media: {"schema": schema} for media in json}}, medias
    if operation.method not in _WITH_BODY:
        return None, medias
    # its workflow may read one all the same, and of a document that names none no client is made that sends it
    return {"content": {media: any_body(media) for media in medias or [JSON]}}, medias


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
        sent.setdefault(name.lower(), _parameter(
            "header", name, _KEY if name == _KEY_HEADER else text, required=True))["required"] = True
    for form in project.headers:
        for name, pattern in form.match.items() if form.speaks_of(operation.name) else ():
            # not as `pattern`, which is of JavaScript
            sent.setdefault(name.lower(), _parameter("header", name, text, required=False)).setdefault(
                "description", f"Has to match {pattern}")
    return [one for one in parameters if one["in"] != "header"] + list(sent.values())


def _asked_headers(project: Project, operation: Operation) -> list[str]:
    """That a call has to have beside those of its schema."""
    key = [_KEY_HEADER] if operation.idempotency.required else []
    return key + [name for form in project.headers if form.speaks_of(operation.name) for name in form.require]


def _parameter(place: str, name: str, schema: Any, *, required: bool) -> dict[str, Any]:
    described = {"description": schema["description"]} if isinstance(schema, dict) and "description" in schema else {}
    return {"name": name, "in": place, "required": required, **described, "schema": schema}
