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
  | (?P<mark>\S)""", re.VERBOSE | re.DOTALL)
_CLOSES = {"(": ")", "[": "]", "{": "}"}


class Spelled(Struct, frozen=True):
    """A token as it is written. `line` and `column` count from 1."""

    text: str
    kind: str
    line: int
    column: int


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


def _called_before(tokens: list[Spelled], end: int) -> str:
    """The function whose call ends there; empty where none does."""
    open_ = 0
    for at in range(end - 1, -1, -1):
        open_ += (tokens[at].text in _CLOSES.values()) - (tokens[at].text in _CLOSES)
        if not open_:
            return _at(tokens, at - 1) if tokens[at].text == "(" else ""
    return ""


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
    found = set()
    for index, token in enumerate(tokens):
        called = index + 1 < len(tokens) and tokens[index + 1].text == "("
        if token.kind == "word" and not called and not _is_member(tokens, index):
            found.add(token.text)
    return found


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
