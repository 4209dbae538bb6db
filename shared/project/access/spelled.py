"""What stands spelled out in a CEL expression, and so can be judged before any call comes.

In:    an expression that compiles.
Out:   texts, as they are written, and where: what functions are called with, which members are read.
Never: the meaning of an expression; a text that is put together from others.
"""

import re
from collections.abc import Collection, Iterator

from msgspec import Struct

# raw texts first, in which a backslash is one; long quotes before short ones
_TOKEN = re.compile(r"""
    (?P<comment>//[^\n]*)
  | (?P<text>[bB]?[rR][bB]?(?:\"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*')
           | [bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3} | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'))
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>[0-9]+)
  | (?P<mark>\S)""", re.VERBOSE | re.DOTALL)
_CLOSES = {"(": ")", "[": "]", "{": "}"}


class Spelled(Struct, frozen=True):
    """A token as it is written. `line` and `column` count from 1."""

    text: str
    kind: str
    line: int
    column: int


class Loop(Struct, frozen=True):
    """A macro that does something with each item of a list, under the name `each`, in other loops `inside`.

    `over`: a path to the list, or to the one that it was made from by other loops; None for what is no such path.
    `reads`: what is read in it and was there before it, apart from lists of loops in it; `reads_one_of`: of which one
    member is read that is computed. A path is a variable and its members.
    """

    over: list[Spelled] | None
    each: str
    inside: list["Loop"]
    reads: list[list[Spelled]]
    reads_one_of: list[list[Spelled]]


def arguments(text: str) -> Iterator[tuple[str, Spelled]]:
    """Texts that are the last argument of a call, each with the name of the function."""
    tokens = _tokens(text)
    # what stands before each bracket that is open
    open_: list[str] = []
    for index, token in enumerate(tokens):
        if token.text in _CLOSES:
            open_.append(tokens[index - 1].text if index else "")
        elif token.text in _CLOSES.values():
            open_.pop()
        elif token.kind == "text" and open_ and tokens[index - 1].text in "(," and tokens[index + 1].text == ")":
            yield open_[-1], token


def members(text: str, of: str) -> Iterator[Spelled]:
    """Members of a variable that the expression reads or asks for: `of["a"]`, `of.a`, `"a" in of`."""
    tokens = _tokens(text)
    for index, token in enumerate(tokens):
        before, after = tokens[max(0, index - 2):index], tokens[index + 1:index + 3]
        if token.text != of or (before and before[-1].text == "."):
            continue
        if len(before) == 2 and before[0].kind == "text" and before[1].text == "in":
            yield before[0]
        if len(after) == 2 and (after[0].text, after[1].kind) in {("[", "text"), (".", "word")}:
            yield after[1]


def receivers(text: str, functions: Collection[str]) -> Iterator[list[Spelled] | None]:
    """What functions are called on: a variable and its members, one after the other; None for what is no such path.

    Nothing for what another one of them gives.
    """
    tokens = _tokens(text)
    for index, token in enumerate(tokens):
        if (token.text in functions and _at(tokens, index - 1) == "." and _at(tokens, index + 1) == "("
                and _called_before(tokens, index - 1) not in functions):
            yield _path_before(tokens, index - 1)


def loops(text: str, macros: Collection[str]) -> Iterator[Loop]:
    """All loops of an expression, the outer ones before those that are in them."""
    tokens = _tokens(text)
    # those that are open, and where each ends
    around: list[tuple[int, Loop]] = []
    for index, token in enumerate(tokens):
        around = [(end, loop) for end, loop in around if end > index]
        if token.text in macros and _at(tokens, index - 1) == "." and _at(tokens, index + 1) == "(":
            end, each, first = _closing(tokens, index + 1), _at(tokens, index + 2), index - 1
            while _called_before(tokens, first) in macros:
                first = _opening(tokens, first - 1) - 2
            loop = Loop(_path_before(tokens, first), each, [outer for _, outer in around], [], [])
            for at in range(index + 3, end):
                if _is_variable(tokens, at) and tokens[at].text != each:
                    path, after = _path_from(tokens, at)
                    if _at(tokens, after) != "." or _at(tokens, after + 1) not in macros:
                        (loop.reads_one_of if _at(tokens, after) == "[" else loop.reads).append(path)
            yield loop
            around.append((end, loop))


def _closing(tokens: list[Spelled], opening: int) -> int:
    open_ = 0
    for at in range(opening, len(tokens)):
        open_ += (tokens[at].text in _CLOSES) - (tokens[at].text in _CLOSES.values())
        if not open_:
            return at
    return len(tokens)


def _path_from(tokens: list[Spelled], at: int) -> tuple[list[Spelled], int]:
    """A variable and those of its members that are spelled out, and where what follows them stands."""
    path = [tokens[at]]
    while True:
        if _at(tokens, at + 1) == "." and _at(tokens, at + 3) != "(" and at + 2 < len(tokens):
            path.append(tokens[at + 2])
            at += 2
        elif _at(tokens, at + 1) == "[" and _at(tokens, at + 3) == "]" and tokens[at + 2].kind in ("text", "number"):
            path.append(tokens[at + 2])
            at += 3
        else:
            return path, at + 1


def _called_before(tokens: list[Spelled], end: int) -> str:
    """The function whose call ends there; empty where none does."""
    opening = _opening(tokens, end - 1)
    return _at(tokens, opening - 1) if _at(tokens, opening) == "(" else ""


def _opening(tokens: list[Spelled], closing: int) -> int:
    """The bracket that another one closes; where none does, the place itself."""
    open_ = 0
    for at in range(closing, -1, -1):
        open_ += (tokens[at].text in _CLOSES.values()) - (tokens[at].text in _CLOSES)
        if not open_:
            return at
    return -1


def _path_before(tokens: list[Spelled], end: int) -> list[Spelled] | None:
    path: list[Spelled] = []
    at = end - 1
    while at >= 0:
        if tokens[at].kind == "word":
            path.insert(0, tokens[at])
            if not _is_member(tokens, at):
                return path
            at -= 2
        elif tokens[at].text == "]" and _at(tokens, at - 2) == "[" and tokens[at - 1].kind == "text":
            path.insert(0, tokens[at - 1])
            at -= 3
        else:
            return None
    return None


def compared(text: str, of: str) -> Iterator[Spelled]:
    """Texts that a variable is compared with as a whole: `of == "a"`, `"a" != of`, `of in ["a", "b"]`."""
    tokens = _tokens(text)
    if any(token.text == of and _at(tokens, index - 1) == "(" and _at(tokens, index + 1) == ","
           for index, token in enumerate(tokens)):
        # a macro gives the name to something else
        return
    for index, token in enumerate(tokens):
        if token.text != of or _is_member(tokens, index) or _at(tokens, index - 1) == "+":
            continue
        if _at(tokens, index + 1) in ("=", "!") and _at(tokens, index + 2) == "=":
            yield from _whole(tokens, index + 3)
        elif _at(tokens, index - 1) == "=" and _at(tokens, index + 1) not in (".", "[", "+"):
            yield from _whole(tokens, index - 3)
        elif _at(tokens, index + 1) == "in" and _at(tokens, index + 2) == "[":
            for other in range(index + 3, len(tokens)):
                if tokens[other].text == "]":
                    break
                yield from _whole(tokens, other)


def _whole(tokens: list[Spelled], index: int) -> Iterator[Spelled]:
    """The text at a place, unless it is a part of another one or is called with something."""
    if 0 <= index < len(tokens) and tokens[index].kind == "text" and not {
            _at(tokens, index - 1), _at(tokens, index + 1)} & {"+", ".", "("}:
        yield tokens[index]


def _at(tokens: list[Spelled], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""


def variables(text: str) -> set[str]:
    """Names that may be variables: those that are not called as functions, and no members of something else."""
    tokens = _tokens(text)
    return {token.text for index, token in enumerate(tokens) if _is_variable(tokens, index)}


def _is_variable(tokens: list[Spelled], index: int) -> bool:
    return tokens[index].kind == "word" and _at(tokens, index + 1) != "(" and not _is_member(tokens, index)


def _is_member(tokens: list[Spelled], index: int) -> bool:
    # a point with nothing before it begins a name (`.client`)
    if index < 2 or tokens[index - 1].text != ".":
        return False
    before = tokens[index - 2]
    return before.kind in ("word", "text") or before.text in _CLOSES.values()


def _tokens(text: str) -> list[Spelled]:
    return [Spelled(found[0], str(found.lastgroup), text.count("\n", 0, found.start()) + 1,
                    found.start() - text.rfind("\n", 0, found.start()))
            for found in _TOKEN.finditer(text) if found.lastgroup != "comment"]
