"""Texts of a URL or of headers as the values that a schema means.

In:    a schema, once; then texts by name.
Out:   values of the types that the schema names, wherever it does: in what it joins and refers to, too.
Never: whether they fit: what does not convert stays a text, and then misfits.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jsonschema_rs import Draft202012Validator, ReferencingError, Resolver

from shared.project.schema_parts import LISTS, REFERENCES, inside, parts, resolver_of

_ONES = ("if", "then", "else")
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array"}
# JSON's grammar of numbers (RFC 8259, 6), not Python's, which takes `1_0` and digits of other scripts
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
# what a record can carry as a JSON integer
_LARGEST_INTEGER = 2**63 - 1
_TEXT = frozenset({"string"})

_Place = tuple[Any, Resolver]


class _Types(NamedTuple):
    """That one name's value may have, and its items."""

    own: frozenset[str]
    items: frozenset[str]


class Coercion:
    """By one schema of an object. `names`: those that it speaks of; which have to be there come last."""

    def __init__(self, schema: Any, *, commas: bool = False) -> None:
        """Whatever a validator takes. `commas`: one text has all items of a list, as in a header or a path."""
        self._commas = commas
        named: dict[str, list[_Place]] = {}
        patterns: dict[str, list[_Place]] = {}
        rest: list[_Place] = []
        required: list[str] = []
        for part, resolver in _together([(schema, resolver_of(schema))]):
            for found, keyword in ((named, "properties"), (patterns, "patternProperties")):
                for name, sub in _object(part.get(keyword)).items():
                    found.setdefault(name, []).append((sub, resolver))
            rest.append((part.get("additionalProperties"), resolver))
            required += parts(part.get("required"))
        self.names = [*named, *required]
        self._named = {name: _types(places) for name, places in named.items()}
        self._patterns = [(Draft202012Validator({"pattern": pattern}), _types(places))
                          for pattern, places in patterns.items()]
        self._rest = _types(rest)

    def values(self, texts: Mapping[str, Sequence[str]], unfit: Collection[str] = ()) -> dict[str, Any]:
        """By name; names without any text are left out. `unfit`: those of which a text does not fit, though the schema
        takes some: anything else that they may mean."""
        return {name: self._value(self._types_of(name, unfit), came) for name, came in texts.items() if came}

    def _types_of(self, name: str, unfit: Collection[str]) -> _Types:
        types = self._named.get(name) or self._unnamed(name)
        return _Types(types.own - _TEXT, types.items - _TEXT) if name in unfit else types

    def _value(self, types: _Types, texts: Sequence[str]) -> Any:
        """Of texts that came under one name."""
        if "array" not in types.own:
            return _coerced(texts[-1], types.own)
        if self._commas:
            # a list has as many items as it says something (RFC 9110, 5.6.1)
            texts = [item for text in texts for part in text.split(",") if (item := part.strip())]
        return [_coerced(text, types.items) for text in texts]

    def _unnamed(self, name: str) -> _Types:
        return next((types for pattern, types in self._patterns if pattern.is_valid(name)), self._rest)


def _together(start: Iterable[_Place]) -> Iterator[_Place]:
    """All schemas that speak of the same value."""
    left, referred = list(start), set()
    while left:
        schema, resolver = left.pop()
        if not isinstance(schema, dict):
            continue
        resolver = inside(schema, resolver)
        yield schema, resolver
        left += [(sub, resolver) for key in (*LISTS, "dependentSchemas") for sub in parts(schema.get(key))]
        left += [(schema[key], resolver) for key in _ONES if key in schema]
        for reference in {schema[key] for key in REFERENCES if key in schema}:
            place = (resolver.base_uri, reference)
            if place not in referred:
                referred.add(place)
                left += _referred(reference, resolver)


def _referred(reference: str, resolver: Resolver) -> list[_Place]:
    try:
        found = resolver.lookup(reference)
    except ReferencingError:
        return []
    return [(found.contents, found.resolver)]


def _types(places: Iterable[_Place]) -> _Types:
    together = list(_together(places))
    items = _together((part["items"], resolver) for part, resolver in together if "items" in part)
    return _Types(_named(part for part, _ in together), _named(part for part, _ in items))


def _named(schemas: Iterable[dict[str, Any]]) -> frozenset[str]:
    """The types that schemas name; a schema that names none means those of the values that it lists."""
    found: set[str] = set()
    for schema in schemas:
        types = schema.get("type")
        listed = [*parts(schema.get("enum")), *([schema["const"]] if "const" in schema else [])]
        found.update([types] if isinstance(types, str) else types or [_TYPES.get(type(one), "") for one in listed])
    return frozenset(found)


def _object(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _coerced(text: str, types: frozenset[str]) -> Any:
    if "string" in types:
        return text
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    if "null" in types and text == "":
        return None
    if "integer" in types and _INTEGER.fullmatch(text) and abs(int(text)) <= _LARGEST_INTEGER:
        return int(text)
    if "number" in types and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
