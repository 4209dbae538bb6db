"""The published JSON Schema of a project's files, for editors and for people.

In:    the model.
Out:   one schema per file, under `$defs`.
Never: a rule that the model does not have.
"""

from typing import Any

from shared.project.model import Access, DeclaredCredential, Operation, Project, Workflow
from shared.project.steps.registry import STEP_SETTINGS

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def project_schema() -> dict[str, Any]:
    """`$defs` has `weir.yaml`, `operations.yaml`, `access.yaml`, `credentials.yaml` and `workflows/*.yaml`."""
    definitions: dict[str, Any] = {}
    header = _schema(Project, definitions)
    for other in ("operations", "workflows", "credentials", *Access.model_fields):
        header["properties"].pop(other)
    workflow = _schema(Workflow, definitions)
    workflow["required"] = ["steps"]
    definitions["Step"] = _step(definitions)
    return {"$schema": _DRAFT, "title": "A Weir project", "$defs": {
        **definitions, "weir.yaml": header, "workflows/*.yaml": workflow,
        "operations.yaml": _object({"operations": {"type": "array", "items": _schema(Operation, definitions)}},
                                   ["operations"]),
        "access.yaml": _schema(Access, definitions),
        "credentials.yaml": _object({"credentials": {
            "type": "array", "items": _schema(DeclaredCredential, definitions)}}, ["credentials"])}}


def _schema(model: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions.update(schema.pop("$defs", {}))
    return schema


def _step(definitions: dict[str, Any]) -> dict[str, Any]:
    """In a file a step has exactly one key that names its kind, beside what all steps may have."""
    common = {name: schema for name, schema in definitions["Step"]["properties"].items()
              if name not in ("kind", "settings")}
    kinds = {kind: _or_null(_schema(settings, definitions)) for kind, settings in STEP_SETTINGS.items()}
    return {**_object({**common, **kinds}, ["id"]), "oneOf": [{"required": [kind]} for kind in kinds]}


def _or_null(settings: dict[str, Any]) -> dict[str, Any]:
    """A kind that needs no settings may stand with nothing after its colon."""
    return settings if "required" in settings else {"anyOf": [settings, {"type": "null"}]}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
