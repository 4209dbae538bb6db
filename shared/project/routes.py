"""Which operation has a method and path?

In:    a project, once; then methods and raw paths.
Out:   the operation and its path parameters, the methods that would do, or nothing.
Never: a project's name in the path; whoever asks has taken it off.

Segments are split before they are percent-decoded, so `%2F` stays inside a segment. A literal segment beats a
parameter. A trailing slash is a segment of its own: `/a` and `/a/` are different paths. HEAD falls to GET
where no operation has it; one with events has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from shared.project.model import Operation, Project
from shared.project.modes import operations_of


@dataclass(frozen=True, slots=True)
class Match:
    """The operation, and its path parameters percent-decoded."""

    operation: Operation
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MethodNotAllowed:
    """The path exists; `allow` are its methods, sorted."""

    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotFound:
    """No operation has this path."""


@dataclass(slots=True)
class _Node:
    """`methods`: operation and its parameter names in the order of the path."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    methods: dict[str, tuple[Operation, tuple[str, ...]]] = field(default_factory=dict)


class RouteTable:
    """A tree with one level per segment."""

    def __init__(self) -> None:
        """No routes yet."""
        self._root = _Node()

    @classmethod
    def of(cls, project: Project) -> "RouteTable":
        """The routes of all operations of a project, the disabled ones too: policy says that they are."""
        table = cls()
        for operation in operations_of(project):
            table._add(operation)
        return table

    def match(self, method: str, path: str) -> Match | MethodNotAllowed | NotFound:
        """Look up a raw path without its query."""
        segments = [unquote(segment) for segment in path.split("/")[1:]]
        allowed: set[str] = set()
        found = _search(self._root, segments, (), method, allowed)
        if found is not None and (method != "HEAD" or _has_head(found)):
            return found
        read = _search(self._root, segments, (), "GET", allowed)
        if read is not None and _has_head(read):
            if method == "HEAD" and found is None:
                return read
            allowed.add("HEAD")
        if method == "HEAD":
            allowed.discard(method)
        return MethodNotAllowed(tuple(sorted(allowed))) if allowed else NotFound()

    def _add(self, operation: Operation) -> None:
        node, names = self._root, []
        for segment in operation.path.split("/")[1:]:
            if segment.startswith("{") and segment.endswith("}"):
                names.append(segment[1:-1])
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(unquote(segment), _Node())
        node.methods[operation.method] = (operation, tuple(names))


def _has_head(found: Match) -> bool:
    """Whether a head alone can be its answer: that of a stream of events is the stream, and all that is done for it."""
    return found.operation.mode != "events"


def _search(node: _Node, segments: list[str], values: tuple[str, ...], method: str,
            allowed: set[str]) -> Match | None:
    """Depth first, literals before parameters; `allowed` gathers the methods of nodes that the path reaches."""
    if not segments:
        entry = node.methods.get(method)
        allowed.update(node.methods)
        return None if entry is None else Match(entry[0], dict(zip(entry[1], values, strict=True)))
    head, rest = segments[0], segments[1:]
    literal = node.literals.get(head)
    if literal is not None:
        found = _search(literal, rest, values, method, allowed)
        if found is not None:
            return found
    if node.parameter is not None and head:
        return _search(node.parameter, rest, (*values, head), method, allowed)
    return None
