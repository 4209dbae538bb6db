"""The admin API's own OpenAPI 3.1 document, made from its routes.

In:    `Route` declarations.
Out:   the document.
Never: a route described by hand.
"""

import re
from collections.abc import Sequence
from typing import Any

from services.control.api import Form, Route
from shared.names.headers import JSON, PROBLEM_JSON

_PROBLEM = {"description": "Refused or failed", "content": {PROBLEM_JSON: {
    "schema": {"$ref": "#/components/schemas/Problem"}}}}
_PROBLEM_REF = {"$ref": "#/components/responses/Problem"}
# some tools make typed errors of `default` alone, others of all but that
_PROBLEMS = {"4XX": _PROBLEM_REF, "5XX": _PROBLEM_REF, "default": _PROBLEM_REF}


def admin_openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1 of these routes under `/v1`."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Problem": {
        "type": "object", "required": ["type", "title", "status", "detail", "code"],
        "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
                       "detail": {"type": "string"}, "code": {"type": "string"}}}}
    for route in routes:
        paths.setdefault(f"/v1{route.path}", {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0", "info": {"title": "Weir admin API", "version": "1"}, "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "responses": {"Problem": _PROBLEM},
                       "securitySchemes": {"adminToken": {"type": "http", "scheme": "bearer"}}},
        "security": [{"adminToken": []}],
    }


def _responses(route: Route) -> dict[str, Any]:
    # of a media type without a schema tools make answers without a body
    content: dict[str, Any] = {media: {"schema": {} if media == JSON else {"type": "string"}} for media in route.medias}
    done = {str(route.status): {"description": "Done", "content": content}}
    return done | ({"200": {"description": route.unchanged, "content": content}} if route.unchanged else {})


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    text: Form = {"type": "string"}
    parameters = [{"name": name, "in": "path", "required": True, "schema": route.forms.get(name, text)}
                  for name in re.findall(r"\{(\w+)\}", route.path)]
    parameters += [{"name": name, "in": "query", "description": told, "schema": route.forms.get(name, text)}
                   for name, told in route.query.items()]
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__, "summary": route.summary, "parameters": parameters,
        "responses": {**_responses(route), **_PROBLEMS}}
    if route.body is not None:
        schema = route.body.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[route.body.__name__] = schema
        # one that needs no member may be left out
        needed = any(member.is_required() for member in route.body.model_fields.values())
        operation["requestBody"] = {"required": needed, "content": {"application/json": {
            "schema": {"$ref": f"#/components/schemas/{route.body.__name__}"}}}}
    return operation
