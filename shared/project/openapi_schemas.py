"""The schemas of a project inside one OpenAPI document.

In:    schemas, each with a name that no other has.
Out:   what stands for each where it is used, and the components that it leads to.
Never: what a schema means; data in it (`const`, `enum`, `default`, `examples`) changed.

In a schema `#` is the schema itself, in the document it is the document (OpenAPI 3.1, 4.6): what refers to its own
parts would lead nowhere there. So such a schema becomes a component, its `$defs` too: many tools find nothing deeper.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from shared.project.access.facts import part_of
from shared.project.schema_parts import REFERENCES, parts

_COMPONENTS = "#/components/schemas/"
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
_DATA = ("const", "enum", "default", "example", "examples")
_BY_NAME = ("properties", "patternProperties", "$defs", "dependentSchemas")
# what an object may be held against; of `allOf` it always is
_PERHAPS = ("anyOf", "oneOf", "dependentSchemas")


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

    def members(self, schema: Any) -> tuple[dict[str, Any], list[str]]:
        """Of a schema of an object that `take` gave: what it says of each member, in what it joins and refers to as
        well, and who has to be there."""
        always, perhaps, required = dict[str, list[Any]](), dict[str, list[Any]](), list[str]()
        for part, holds in self._together(schema):
            for name, sub in _object(part.get("properties")).items():
                found = (always if holds else perhaps).setdefault(name, [])
                if sub not in found:
                    found.append(sub)
            required += part.get("required", []) if holds else []
        # who is there always says what it is; alternatives bind it in some cases only
        return ({name: subs[0] if len(subs) == 1 else {"allOf" if name in always else "anyOf": subs}
                 for name, subs in {**perhaps, **always}.items()}, required)

    def _together(self, schema: Any) -> Iterator[tuple[dict[str, Any], bool]]:
        """All schemas that speak of the same object, and whether each always does."""
        left, referred = deque([(schema, True)]), set[tuple[str, bool]]()
        while left:
            part, holds = left.popleft()
            if not isinstance(part, dict):
                continue
            yield part, holds
            left += [(one, holds) for one in parts(part.get("allOf"))]
            left += [(one, False) for key in _PERHAPS for one in parts(part.get(key))]
            left += [(part[key], False) for key in ("then", "else") if key in part]
            reference = (part.get("$ref", ""), holds)
            if reference not in referred:
                referred.add(reference)
                left.append((self._referred(reference[0]), holds))

    def _referred(self, reference: str) -> Any:
        inside = reference.removeprefix(_COMPONENTS)
        return part_of(self.schemas, f"/{unquote(inside)}") if inside != reference else None


def _object(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


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
