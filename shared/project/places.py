"""YAML with the place of every value.

In:    the text of one file.
Out:   plain data, and line and column for a path into it; what no JSON can hold is a problem.
Never: an exception for a wrong file: what is wrong comes back as a `Problem`.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from shared.project.written import LARGEST, SMALLEST

_MAX_CHARS = 1_000_000
_MAX_NODES = 100_000
_MAX_DEPTH = 60
_NESTED = f"nested more than {_MAX_DEPTH} levels deep"
# with what aliases stand for at each of their places; a file without one cannot have more
_MAX_WRITTEN_OUT = _MAX_CHARS // 2
# what JSON has, and `<<`, which takes members over from elsewhere
_TYPE = "tag:yaml.org,2002:"
_PLAIN = frozenset(_TYPE + name for name in ("map", "seq", "str", "int", "float", "bool", "null", "merge"))
# what has several spellings
_SPELLED = frozenset(_TYPE + name for name in ("int", "float", "bool"))
# directives; anchors; a block whose head ends in a comment; a tab before a token; what ends a line in YAML 1.1 alone; a
# mark of byte order, which has a column or none
_TAKEN_OTHERWISE = re.compile(r"%YAML|(?:^|[\s\[{,])[&*][^\s&*]|[|>][-+0-9]*#|[\t\x85\u2028\u2029\ufeff]")
# tags and numbers that no constructor takes (`!!int ""` is an IndexError); nesting beyond any use
_UNUSABLE = (YAMLError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
# parts of what the reader says, and what to write instead
_INSTEAD = {
    "'\\t' that cannot start": "lines are indented by spaces, not by tabs",
    "cannot start any token": "a text that begins with this character stands in quotes",
    "mapping values are not allowed": "a text that has a colon and a space in it stands in quotes; the keys of one "
                                      "mapping begin in one column, with a space behind their colons",
    "could not find expected ':'": "a key has a colon and a space behind it",
    "found '<scalar>'": "a text goes on here behind its quotes; inside of '...' a quote is written twice, inside of "
                        "\"...\" with a backslash before it",
    "expected <block end>": "the keys of one mapping, and the dashes of one list, begin in one column",
    "expected ',' or": "what stands in { } or [ ] ends with it; a text in there that has one of , [ ] { } stands in "
                       "quotes",
    "escape character": "in '...' a backslash is one, in \"...\" it is written twice"}
Key = str | int
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong in a file; line and column count from 1."""

    file: str
    line: int
    column: int
    code: str
    message: str

    def __str__(self) -> str:
        """One line, as compilers write it."""
        return f"{self.file}:{self.line}:{self.column}: {self.message} [{self.code}]"


@dataclass(slots=True)
class Source:
    """One file: its data, and where each part of it stands. `written`: numbers, true and false as they are spelled."""

    file: str
    data: Any = None
    places: dict[tuple[Key, ...], Place] = field(default_factory=dict)
    written: dict[tuple[Key, ...], str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Sequence[Key], code: str, message: str) -> Problem:
        """A problem at a path, or at the nearest part above it that the file has."""
        keys = tuple(path)
        while keys and keys not in self.places:
            keys = keys[:-1]
        line, column = self.places.get(keys, (1, 1))
        return Problem(self.file, line, column, code, message)


def read(file: str, text: str) -> Source:
    """Parse one file."""
    source = Source(file)
    if len(text) > _MAX_CHARS:
        source.problems.append(source.problem((), "file-too-large", f"a file may have {_MAX_CHARS} characters"))
        return source
    no_json: list[tuple[tuple[Key, ...], str, str]] = []
    try:
        no_json += _parse(text, source)
    except MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        source.problems.append(Problem(file, line, column, "yaml", _in_words(exc, text)))
        return source
    except _UNUSABLE as exc:
        source.problems.append(Problem(file, 1, 1, "yaml", f"not usable YAML: {str(exc).splitlines()[0][:200]}"))
        source.data = None
        return source
    source.problems += [source.problem(path, code, message) for path, code, message in no_json]
    source.problems += [source.problem(path, "json", "this number is beyond those of JSON; in quotes it is a text")
                        for path in _beyond_json(source.data)]
    deepest = max(source.places, key=len, default=())
    if len(deepest) > _MAX_DEPTH:
        source.problems.append(source.problem(deepest, "nested", _NESTED))
        source.data = None
    return source


def _in_words(error: MarkedYAMLError, text: str) -> str:
    """What YAML cannot take, and what to write instead."""
    what = " ".join(str(error.problem or error.context or "not YAML").split())
    mark, begun = error.problem_mark, error.context_mark
    if "'%' that cannot start" in what and mark is not None and text[mark.index - 1:mark.index] == "{":
        return "an expression stands in quotes, as in \"{% trigger.body.name %}\": without them `{` begins a mapping"
    if "end of stream" in what and begun is not None:
        return f"{what}: what begins in line {begun.line + 1} has no end; is a quote missing?"
    return next((f"{what}: {instead}" for part, instead in _INSTEAD.items() if part in what), what)


def _parse(text: str, source: Source) -> list[tuple[tuple[Key, ...], str, str]]:
    """Data and places into the source; what no JSON can hold.

    The scanner in C is twenty times as fast as the one in Python. It takes some characters otherwise, and words its
    errors otherwise: such files are read by the one in Python.
    """
    if not _TAKEN_OTHERWISE.search(text):
        try:
            return _unless_deep({}, text, source)
        except _UNUSABLE:
            source.places.clear()
            source.written.clear()
    return _unless_deep({"pure": True}, text, source)


def _unless_deep(scanner: Mapping[str, bool], text: str, source: Source) -> list[tuple[tuple[Key, ...], str, str]]:
    """What nests beyond any use is not composed: that needs the machine's stack, and the scanner in Python takes
    seconds for it."""
    deep = _too_deep(YAML(typ="safe", **scanner), text)
    if deep is None:
        return _composed(YAML(typ="safe", **scanner), text, source)
    source.problems.append(Problem(source.file, deep.line + 1, deep.column + 1, "nested", _NESTED))
    return []


def _composed(yaml: YAML, text: str, source: Source) -> list[tuple[tuple[Key, ...], str, str]]:
    node = yaml.compose(text)
    if node is None:
        return []
    # before data are made of it: what `<<` takes over becomes part of the node then
    _note(node, source.places, source.written)
    if _written_out(node) > _MAX_WRITTEN_OUT:
        said = (f"a file may have {_MAX_WRITTEN_OUT} values with all that its aliases (`*name`) stand for; here are "
                "more")
        # what stands in itself is told by its depth, where that was seen
        return [] if len(max(source.places, key=len)) > _MAX_DEPTH else [((), "file-too-large", said)]
    no_json = list(_no_json(node))
    source.data = yaml.constructor.construct_document(node)
    return no_json


def _written_out(root: Node) -> float:
    """How many values a file has where each alias is what it stands for; no end where one stands in itself."""
    sizes: dict[int, float] = {}
    waiting = [(root, False)]
    while waiting:
        node, is_counted_below = waiting.pop()
        below = _below(node)
        if is_counted_below:
            sizes[id(node)] = 1 + sum(sizes[id(one)] for one in below)
        elif id(node) not in sizes:
            # whoever comes back here before it is counted stands in itself
            sizes[id(node)] = math.inf
            waiting.append((node, True))
            waiting += [(one, False) for one in below]
    return sizes[id(root)]


def _below(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [one for _, one in node.value]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _too_deep(yaml: YAML, text: str) -> Any:
    """The mark of what nests beyond any use, told without a recursion."""
    depth = 0
    for event in yaml.parse(text):
        if isinstance(event, CollectionStartEvent):
            depth += 1
            # one that is empty may be there
            if depth > _MAX_DEPTH + 1:
                return event.start_mark
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
    return None


def _no_json(root: Node) -> Iterator[tuple[tuple[Key, ...], str, str]]:
    """What no JSON can hold, so that no version with it could be written: where, a code, and why."""
    waiting: list[tuple[Node, tuple[Key, ...]]] = [(root, ())]
    seen: set[int] = set()
    while waiting:
        node, path = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.tag not in _PLAIN:
            name = str(node.tag).removeprefix(_TYPE)
            yield path, "json", (f"{node.value} is a date here; in quotes it is a text" if name == "timestamp" else
                                 f"{name!r} is a type of YAML that JSON does not have")
        elif isinstance(node, MappingNode):
            for key_node, value_node in node.value:
                inner = (*path, _whole(str(key_node.value)))
                if key_node.tag not in (_TYPE + "str", _TYPE + "merge"):
                    yield inner, "json", "the name of a member is a text; in quotes it is one"
                waiting += [(key_node, path), (value_node, inner)]
        elif isinstance(node, SequenceNode):
            waiting += [(item, (*path, index)) for index, item in enumerate(node.value)]
        elif _whole(str(node.value)) != str(node.value):
            yield path, "text", "half of a character stands here (a lone surrogate)"


def _beyond_json(root: Any) -> Iterator[tuple[Key, ...]]:
    """Numbers that cannot be written into a version."""
    waiting: list[tuple[Any, tuple[Key, ...]]] = [(root, ())]
    seen: set[int] = set()
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, dict | list):
            if id(value) in seen:
                continue
            seen.add(id(value))
            members = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(item, (*path, key)) for key, item in members]
        elif isinstance(value, int | float) and not _is_json(value):
            yield path


def _is_json(number: int | float) -> bool:
    if isinstance(number, float):
        return math.isfinite(number)
    return SMALLEST <= number <= LARGEST


def _whole(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _note(root: Node, places: dict[tuple[Key, ...], Place], written: dict[tuple[Key, ...], str]) -> None:
    """The place of a mapping's member is that of its key: that is where a person looks."""
    places[()] = _place(root)
    waiting: list[tuple[Node, tuple[Key, ...]]] = [(root, ())]
    while waiting and len(places) < _MAX_NODES:
        node, path = waiting.pop()
        if len(path) > _MAX_DEPTH:
            # an anchor may contain itself; whoever reads the places sees that this is too deep
            continue
        if isinstance(node, MappingNode):
            for key_node, value_node in node.value:
                inner = (*path, str(key_node.value))
                places[inner] = _place(key_node)
                waiting.append((value_node, inner))
        elif isinstance(node, SequenceNode):
            for index, item in enumerate(node.value):
                inner = (*path, index)
                places[inner] = _place(item)
                waiting.append((item, inner))
        elif node.tag in _SPELLED:
            written[path] = str(node.value)


def _place(node: Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1
