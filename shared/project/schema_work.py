"""How much work is it to hold a value against a schema, at the most?

In:    a schema, once; then values.
Out:   whether so many steps are enough: a step is a keyword that is held against a part of the value.
Never: whether the value fits.

The library stops at nothing: where alternatives (`anyOf`, `oneOf`) lead back into the schema that they stand in, a body
of a hundred bytes can take it minutes and all memory, and it tells all misfits of a body or the first one, even where
they are millions. So steps are counted before it is asked. Every alternative counts, as if none were ruled out early.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jsonschema_rs import Draft202012Validator, ReferencingError, RegexOptions, Resolver, ValidationError

from shared.project.schema_parts import LISTS, REFERENCES, inside, parts, resolver_of

# keywords whose schemas look at the same part of the value
_ONES = ("not", "if", "then", "else")
# a misfit holds a copy of its part: so many members or items are copied in one step
_COPIED = 16
# a pattern that looks ahead, behind or back takes up to the square of a text, until the library gives up at a million;
# so many of its own small steps are one of these
_LONGEST_TEXT, _SMALL_STEPS = 1_400, 200
# one that refers back takes that of texts that match, too
_REFERS_BACK = re.compile(r"(?<!\\)(?:\\\\)*\\(?:[1-9]|k[<'])")
# where a schema without any way back into itself is still as large as one that has
_LARGEST = 10_000


class _Node:
    """A schema. `beside`: those that look at the same part; `named`, `rest`, `members`: at members of that name, at the
    others, at any; `first`, `items`: at items.

    `weight`: how many keywords look at the part itself, and how many misfits they can tell; `names`: at each name.
    `turns`, `names_turn`: whether a pattern turns back in a text, in a name.
    """

    __slots__ = ("beside", "first", "items", "members", "named", "names", "names_turn", "rest", "turns", "weight")

    def __init__(self, weight: int) -> None:
        self.weight, self.names = weight, 0
        self.turns = self.names_turn = False
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


Links = Mapping[_Node, Sequence[_Node]]


class SchemaWork:
    """Of one schema. `explodes`: a small value can take very many steps. `chooses`: an alternative looks below its
    part, so that telling why none fits takes all steps of each. `refers_back`: a pattern does."""

    def __init__(self, schema: Any) -> None:
        """Whatever a validator takes."""
        self._referred: dict[tuple[str, str], _Node] = {}
        self._nodes: list[_Node] = []
        self._chosen: list[_Node] = []
        # what references lead to, and is still to be read: chains of them may be longer than a stack
        self._unread: list[tuple[_Node, Any, Resolver]] = []
        self.refers_back = False
        self._root = self._node(schema, resolver_of(schema))
        while self._unread:
            node, found, resolver = self._unread.pop()
            node.beside.append(self._node(found, resolver))
        self.chooses = any(_looks_below(node) for node in self._chosen)
        self.explodes = _explodes(self._nodes)

    def within(self, value: Any, most: int, *, of_patterns: bool = False) -> bool:
        """Whether so many steps are enough for a value. `of_patterns`: those that patterns take alone."""
        left = [(self._root, value)]
        while left:
            node, here = left.pop()
            size = len(here) if isinstance(here, dict | list) else 0
            if not of_patterns:
                most -= (node.weight + node.names * size) * (1 + size // _COPIED)
            if node.turns and isinstance(here, str):
                most -= _turning(here)
            if node.names_turn and isinstance(here, dict):
                most -= sum(map(_turning, here))
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
        resolver = inside(schema, resolver)

        def at(*keywords: str) -> list[_Node]:
            return [self._node(schema[key], resolver) for key in keywords if key in schema]

        def all_of(*keywords: str) -> list[_Node]:
            return [self._node(sub, resolver) for key in keywords for sub in parts(schema.get(key))]
        node = _Node(1 + len(schema) + sum(len(told) for key in ("required", "enum")
                                           if isinstance(told := schema.get(key), list)))
        patterns = [schema.get("pattern"), *_names(schema.get("patternProperties"))]
        self.refers_back |= any(isinstance(one, str) and _REFERS_BACK.search(one) for one in patterns)
        names = at("propertyNames")
        node.names, node.turns = sum(named.weight for named in names), _turns_back(schema.get("pattern"))
        node.names_turn = any(named.turns for named in names) or any(
            map(_turns_back, _names(schema.get("patternProperties"))))
        named = schema.get("properties")
        node.named = {name: self._node(sub, resolver) for name, sub in named.items()} if isinstance(named, dict) else {}
        node.rest, node.first = at("additionalProperties"), all_of("prefixItems")
        node.members = [*all_of("patternProperties"), *at("unevaluatedProperties")]
        node.items = at("items", "contains", "unevaluatedItems")
        chosen = [*all_of(*LISTS, "dependentSchemas"), *at(*_ONES)]
        node.beside = chosen + [self._refer(schema[key], resolver) for key in REFERENCES if key in schema]
        self._nodes.append(node)
        self._chosen += chosen
        return node

    def _refer(self, reference: str, resolver: Resolver) -> _Node:
        key = (resolver.base_uri, reference)
        if key not in self._referred:
            node = self._referred[key] = _Node(1)
            self._nodes.append(node)
            try:
                found = resolver.lookup(reference)
            except ReferencingError:
                return node
            self._unread.append((node, found.contents, found.resolver))
        return self._referred[key]


def _names(found: Any) -> Iterable[Any]:
    return found if isinstance(found, dict) else ()


def _turns_back(pattern: Any) -> bool:
    """Whether a pattern is more than a regular expression that is held against a text in one go."""
    if not isinstance(pattern, str):
        return False
    try:
        Draft202012Validator({"pattern": pattern}, pattern_options=RegexOptions())
    except (ValidationError, ValueError):
        return True
    return False


def _turning(text: str) -> int:
    return min(len(text), _LONGEST_TEXT) ** 2 // _SMALL_STEPS


def _looks_below(node: _Node) -> bool:
    seen, left = {node}, [node]
    while left:
        here = left.pop()
        if here.below:
            return True
        left.extend(other for other in here.beside if other not in seen)
        seen.update(here.beside)
    return False


def _explodes(nodes: Sequence[_Node]) -> bool:
    """Whether a level of a value takes several times the steps of the one above it, or the schema is one without end,
    were its references written out."""
    after = {node: (*node.beside, *node.below) for node in nodes}
    before: dict[_Node, list[_Node]] = {node: [] for node in nodes}
    for node, others in after.items():
        for other in others:
            before.setdefault(other, []).append(node)
    sizes: dict[_Node, int] = {}
    for node in _without(nodes, after, before):
        sizes[node] = node.weight + sum(sizes.get(other, other.weight) for other in after[node])
    back = {node for node in nodes if node not in sizes}
    circles = back - set(_without(list(back), before, after))
    return max(sizes.values(), default=0) > _LARGEST or any(_splits(node, circles) for node in circles)


def _without(nodes: Sequence[_Node], after: Links, before: Links) -> Iterable[_Node]:
    """One by one those that nothing comes after, but what was given before."""
    known = set(nodes)
    open_ends = {node: sum(other in known for other in after[node]) for node in nodes}
    ends = [node for node, count in open_ends.items() if not count]
    while ends:
        node = ends.pop()
        yield node
        for other in before[node]:
            if other in open_ends:
                open_ends[other] -= 1
                if not open_ends[other]:
                    ends.append(other)


def _splits(node: _Node, circles: set[_Node]) -> bool:
    """Whether two ways lead from a part of the value to one below it, and back to where they began."""
    together = _together(node)
    items = sum(len(circles.intersection(here.items)) + bool(circles.intersection(here.first)) for here in together)
    named = Counter(name for here in together for name, sub in here.named.items() if sub in circles)
    if items > 1 or max(named.values(), default=0) > 1:
        return True
    at_any = [here for here in together if circles.intersection((*here.members, *here.rest))]
    # None: a name that nobody calls by its name
    names = {None, *(name for here in together for name in here.named)} if at_any else set()
    return any(named[name] + sum(
        len(circles.intersection((*here.members, *(() if name in here.named else here.rest)))) for here in at_any) > 1
        for name in names)


def _together(node: _Node) -> list[_Node]:
    """All that look at the same part, as often as they do; more of them than a few are all the same."""
    found, left, above = list[_Node](), [(node, False)], set[_Node]()
    while left and len(found) < _LARGEST:
        here, is_done = left.pop()
        if is_done:
            above.discard(here)
        elif here not in above:
            above.add(here)
            found.append(here)
            left.append((here, True))
            left.extend((other, False) for other in here.beside)
    return found
