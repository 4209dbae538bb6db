"""The schemas of a project inside one OpenAPI document.

In:    schemas, each with a name that no other has.
Out:   what stands for each where it is used, and the components that it leads to.
Never: what a schema means; data in it (`const`, `enum`, `default`, `examples`) changed.

In a schema `#` is the schema itself, in the document it is the document (OpenAPI 3.1, 4.6): what refers to its own
parts would lead nowhere there. So such a schema becomes a component, its `$defs` too: many tools find nothing deeper.
"""

import re
from collections.abc import Mapping
from typing import Any

from shared.project.schema_parts import REFERENCES

_COMPONENTS = "#/components/schemas/"
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
_DATA = ("const", "enum", "default", "example", "examples")
_BY_NAME = ("properties", "patternProperties", "$defs", "dependentSchemas")


class Components:
    """Of one document; `schemas`: by name."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        """`schemas`: that are there already."""
        self.schemas: dict[str, Any] = dict(schemas)

    def use(self, name: str, schema: Any) -> Any:
        """What stands where the schema is used."""
        return schema if self.take(name, schema) is schema else {"$ref": _COMPONENTS + name}

    def take(self, name: str, schema: Any) -> Any:
        """The schema as it is in the document: itself, unless it refers to its own parts."""
        moved = _moved(schema, name)
        if moved == schema:
            return schema
        own = moved.get("$defs", {})
        for part in filter(_PLAIN.fullmatch, list(own)):
            self.schemas[f"{name}.{part}"] = own.pop(part)
        self.schemas[name] = moved if own else {key: value for key, value in moved.items() if key != "$defs"}
        return self.schemas[name]


def _moved(schema: Any, name: str) -> Any:
    if isinstance(schema, list):
        return [_moved(one, name) for one in schema]
    # in a part with an id of its own `#` is that part, in a document, too
    if not isinstance(schema, dict) or "$id" in schema:
        return schema
    return {key: _place(value, name) if key in REFERENCES and isinstance(value, str)
            else value if key in _DATA
            else {one: _moved(sub, name) for one, sub in value.items()} if key in _BY_NAME and isinstance(value, dict)
            else _moved(value, name) for key, value in schema.items()}


def _place(reference: str, name: str) -> str:
    """Where it leads in the document. Names (`#node`) are the document's as well."""
    part, slash, deeper = reference.removeprefix("#/$defs/").partition("/")
    if reference.startswith("#/$defs/") and _PLAIN.fullmatch(part):
        return f"{_COMPONENTS}{name}.{part}{slash}{deeper}"
    return _COMPONENTS + name + reference[1:] if reference == "#" or reference.startswith("#/") else reference
