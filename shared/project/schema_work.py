"""How much work is it to hold a value against a schema, at the most?

In:    a schema, once; then values.
Out:   whether so many steps are enough: a step is a keyword that is held against a part of the value.
Never: whether the value fits.

The library stops at nothing: where alternatives (`anyOf`, `oneOf`) lead back into the schema that they stand in, a body
of a hundred bytes can take it minutes and all memory, and it tells all misfits of a body or the first one, even where
they are millions. So steps are counted before it is asked. Every alternative counts, as if none were ruled out early.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012, ReferencingError, Registry, Resolver

_BASE = "weir:"
# keywords whose schemas look at the same part of the value
_LISTS, _ONES, _REFERENCES = ("allOf", "anyOf", "oneOf"), ("not", "if", "then", "else"), ("$ref", "$dynamicRef")
# a misfit holds a copy of its part: so many members or items are copied in one step
_COPIED = 16
# where a schema without any way back into itself is still as large as one that has
_LARGEST = 10_000


class _Node:
    """A schema. `beside`: those that look at the same part; `named`, `rest`, `members`: at members of that name, at the
    others, at any; `first`, `items`: at items.

    `weight`: how many keywords look at the part itself, and how many misfits they can tell; `names`: at each name.
    """

    __slots__ = ("beside", "first", "items", "members", "named", "names", "rest", "weight")

    def __init__(self, weight: int) -> None:
        self.weight, self.names = weight, 0
        self.beside: list[_Node] = []
        self.named: Mapping[str | None, _Node] = {}
        self.rest: list[_Node] = []
        self.members: list[_Node] = []
        self.first: list[_Node] = []
        self.items: list[_Node] = []

    @property
    def below(self) -> tuple["_Node", ...]:
        """Those that look at what is in the part."""
        return (*self.named.values(), *self.rest, *self.members, *self.first, *self.items)


class SchemaWork:
    """Of one schema. `explodes`: a small value can take very many steps. `chooses`: an alternative looks below its
    part, so that telling why none fits takes all steps of each."""

    def __init__(self, schema: Any) -> None:
        """Whatever a validator takes."""
        self._referred: dict[tuple[str, str], _Node] = {}
        self._open: set[tuple[str, str]] = set()
        self._nodes: list[_Node] = []
        # those that lead back to themselves
        self._circles: set[_Node] = set()
        self.chooses = False
        resolver = Registry([(_BASE, schema if isinstance(schema, dict) else {})], draft=Draft202012).resolver(_BASE)
        self._root = self._node(schema, resolver)
        back = {node for node in self._nodes if self._circles and _reaches(node, self._circles)}
        self.explodes = any(_splits(node, back) for node in back) or _size(self._root, {}) > _LARGEST

    def within(self, value: Any, most: int) -> bool:
        """Whether so many steps are enough for a value."""
        left = [(self._root, value)]
        while left:
            node, here = left.pop()
            size = len(here) if isinstance(here, dict | list) else 0
            most -= (node.weight + node.names * size) * (1 + size // _COPIED)
            if most < 0:
                return False
            left.extend([(other, here) for other in node.beside])
            if isinstance(here, dict):
                for name, member in here.items():
                    left.extend([(other, member) for other in node.members])
                    left.extend([(node.named[name], member)] if name in node.named else
                                [(other, member) for other in node.rest])
            elif isinstance(here, list):
                left.extend(zip(node.first, here, strict=False))
                for other in node.items:
                    left.extend([(other, item) for item in here])
        return True

    def _node(self, schema: Any, resolver: Resolver) -> _Node:
        if not isinstance(schema, dict):
            return _Node(1)
        if isinstance(schema.get("$id"), str) and resolver.base_uri != schema["$id"]:
            resolver = resolver.lookup(schema["$id"]).resolver

        def at(*keywords: str) -> list[_Node]:
            return [self._node(schema[key], resolver) for key in keywords if key in schema]

        def all_of(*keywords: str) -> list[_Node]:
            return [self._node(sub, resolver) for key in keywords for sub in _parts(schema.get(key))]
        node = _Node(1 + len(schema) + sum(len(told) for key in ("required", "enum")
                                           if isinstance(told := schema.get(key), list)))
        node.names = sum(named.weight for named in at("propertyNames"))
        named = schema.get("properties")
        node.named = {name: self._node(sub, resolver) for name, sub in named.items()} if isinstance(named, dict) else {}
        node.rest, node.first = at("additionalProperties"), all_of("prefixItems")
        node.members = [*all_of("patternProperties"), *at("unevaluatedProperties")]
        node.items = at("items", "contains", "unevaluatedItems")
        chosen = [*all_of(*_LISTS, "dependentSchemas"), *at(*_ONES)]
        node.beside = chosen + [self._refer(schema[key], resolver) for key in _REFERENCES if key in schema]
        self._nodes.append(node)
        self.chooses |= any(_looks_below(sub, set()) for sub in chosen)
        return node

    def _refer(self, reference: str, resolver: Resolver) -> _Node:
        key = (resolver.base_uri, reference)
        if key in self._open:
            self._circles.add(self._referred[key])
        if key not in self._referred:
            node = self._referred[key] = _Node(1)
            self._nodes.append(node)
            try:
                found = resolver.lookup(reference)
            except ReferencingError:
                return node
            self._open.add(key)
            node.beside = [self._node(found.contents, found.resolver)]
            self._open.discard(key)
        return self._referred[key]


def _parts(found: Any) -> Iterable[Any]:
    if isinstance(found, dict):
        return found.values()
    return found if isinstance(found, list) else ()


def _looks_below(node: _Node, seen: set[int]) -> bool:
    if id(node) in seen:
        return False
    seen.add(id(node))
    return bool(node.below) or any(_looks_below(sub, seen) for sub in node.beside)


def _reaches(node: _Node, wanted: set[_Node]) -> bool:
    seen, left = set[_Node](), [node]
    while left:
        here = left.pop()
        if here in wanted:
            return True
        if here not in seen:
            seen.add(here)
            left.extend((*here.beside, *here.below))
    return False


def _splits(node: _Node, back: set[_Node]) -> bool:
    """Whether two ways lead from a part of the value to one below it and on, so that each level takes twice as many."""
    together = list(_together(node, frozenset()))
    items = sum(len(back.intersection(here.items)) + bool(back.intersection(here.first)) for here in together)
    # None: a name that nobody calls by its name
    names = {None, *(name for here in together for name in here.named)}
    return items > 1 or any(sum(
        len(back.intersection((*here.members, *([here.named[name]] if name in here.named else here.rest))))
        for here in together) > 1 for name in names)


def _together(node: _Node, above: frozenset[_Node]) -> Iterable[_Node]:
    """All that look at the same part, as often as they do; more of them than a few are all the same."""
    yield node
    for other in node.beside:
        if other not in above:
            yield from islice(_together(other, above | {node}), _LARGEST)


def _size(node: _Node, known: dict[int, int]) -> int:
    """Steps of all of it; of one that leads back once."""
    if id(node) not in known:
        known[id(node)] = 0
        known[id(node)] = min(_LARGEST + 1, node.weight + sum(_size(sub, known) for sub in (*node.beside, *node.below)))
    return known[id(node)]
