"""Header policies and bounds, compiled for one operation.

In:    those of the project that speak of it.
Out:   `Form`: what is wrong with a call's form, and its headers after the changes.
Never: the meaning of a body; its schema has that.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Any
from urllib.parse import quote_plus

from shared.project.access.comparison import BadPattern, compile_pattern
from shared.project.access.problems import BadRule
from shared.project.access.traffic import DEEPEST, Bounds, Change, HeaderPolicy
from shared.project.media import is_json

# beside letters, digits and -._~
_PLAIN_IN_QUERY = "!$'()*,;:@/?"
_PLAIN_IN_VALUE = f"{_PLAIN_IN_QUERY}="
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


@dataclass(frozen=True, slots=True)
class Misfit:
    """What is wrong. `where`: body, query, headers, type; `too_large` for a size."""

    where: str
    message: str
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """What a call of one operation has to look like."""

    policies: tuple[HeaderPolicy, ...]
    patterns: tuple[tuple[str, str, Any], ...]
    bounds: Bounds
    request: tuple[Change, ...]

    def misfits(self, headers: Mapping[str, str], content_type: str | None, query: Mapping[str, Sequence[str]],
                body: bytes) -> list[Misfit]:
        """Everything that is wrong; sizes first, for what is too large is not looked into."""
        found = _sizes(self.bounds, headers, query, body)
        if found:
            return found
        for policy in self.policies:
            found += [Misfit("headers", f"header {name} is missing") for name in policy.require if name not in headers]
            found += [Misfit("headers", f"header {name} is not allowed") for name in policy.forbid if name in headers]
            if policy.content_types and body and not is_one_of(content_type, policy.content_types):
                found.append(Misfit("type", f"a body is {' or '.join(policy.content_types)}, "
                                            f"not {(content_type or 'of unknown type')[:80]}"))
        found += [Misfit("headers", f"header {name} does not match {text}") for name, text, pattern in self.patterns
                  if name in headers and pattern.search(headers[name]) is None]
        return found + _json(self.bounds, content_type, body)

    def seen(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The headers as the workflow sees them."""
        return changed(headers, self.request)


def compile_form(policies: Iterable[HeaderPolicy], bounds: Iterable[Bounds], operation: str) -> Form | None:
    """None when nothing speaks of the operation. Raises BadRule, its path beginning at the list of header policies."""
    speaking = tuple(policy for policy in policies if policy.speaks_of(operation))
    bounding = tuple(one for one in bounds if one.speaks_of(operation))
    if not speaking and not bounding:
        return None
    patterns = [compiled for policy in speaking for compiled in compile_matches(policy)]
    requests = tuple(policy.request for policy in speaking if policy.request != Change())
    return Form(speaking, tuple(patterns), _closest(bounding, operation), requests)


def _closest(bounding: Sequence[Bounds], operation: str) -> Bounds:
    """Of each measure what speaks of the operation most closely; the strictest of equally close ones."""
    found = {}
    for measure in Bounds.MEASURES:
        said = [(-one.closeness(operation), value) for one in bounding if (value := getattr(one, measure)) is not None]
        if said:
            # of numbers the least is the strictest, and of false and true, false
            found[measure] = min(said)[1]
    return Bounds.model_validate(found)


def compile_matches(policy: HeaderPolicy) -> list[tuple[str, str, Any]]:
    """(header, pattern, compiled) of a policy. Raises BadRule."""
    found = []
    for name, text in policy.match.items():
        try:
            found.append((name, text, compile_pattern(text)))
        except BadPattern as exc:
            raise BadRule(str(exc), ("match", name)) from None
    return found


def changed(headers: Mapping[str, str], changes: Sequence[Change]) -> Mapping[str, str]:
    """Headers after some changes; names are compared and written in lower case where they change."""
    if not changes:
        return headers
    out = headers
    for change in changes:
        # a workflow may say a header twice, in other letters
        keyed = [(name.lower(), name, value) for name, value in out.items()]
        there = {key: value for key, _, value in keyed if key not in change.remove} if change.rename else {}
        put = {**{new: there[old] for old, new in change.rename.items() if old in there}, **change.set}
        gone = {*change.remove, *change.rename, *put}
        out = {**{name: value for key, name, value in keyed if key not in gone}, **put}
    return out


def _sizes(bounds: Bounds, headers: Mapping[str, str], query: Mapping[str, Sequence[str]], body: bytes) -> list[Misfit]:
    sizes = (("body", bounds.body, len(body)),
             ("headers", bounds.headers, sum(map(_bytes, (*headers, *headers.values()))) if bounds.headers else 0),
             ("query", bounds.query, _query_bytes(query) if bounds.query else 0))
    return [Misfit(where, f"the {where} of the request: {size} bytes, and {limit} are allowed", too_large=True)
            for where, limit, size in sizes if limit is not None and size > limit]


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _query_bytes(query: Mapping[str, Sequence[str]]) -> int:
    """Of the shortest query that says this: only what has to be is percent-encoded (RFC 3986, 3.4)."""
    pairs = [(name, value) for name, values in query.items() for value in values]
    return max(0, len(pairs) - 1) + sum(
        len(quote_plus(name, _PLAIN_IN_QUERY, errors="replace"))
        + (1 + len(quote_plus(value, _PLAIN_IN_VALUE, errors="replace")) if value else 0) for name, value in pairs)


def _json(bounds: Bounds, content_type: str | None, body: bytes) -> list[Misfit]:
    if not body or (bounds.json_depth is None and bounds.duplicate_keys is not False) or not is_json(content_type):
        return []
    deep, allowed = _depth(body), bounds.json_depth or DEEPEST
    if deep > allowed:
        return [Misfit("body", f"the body is nested {deep} levels deep, and {allowed} are allowed")]
    twice = _key_that_stands_twice(body) if bounds.duplicate_keys is False else None
    return [] if twice is None else [Misfit("body", f"key {twice[:80]!r} stands twice in an object")]


def _depth(body: bytes) -> int:
    """Of what is JSON; of anything else some number. Not byte by byte: 900 KB of brackets would take 0.1 s and more."""
    without_escapes = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    # every other part is a text; one that nobody closes goes to the end
    brackets = b"".join(without_escapes.split(b'"')[::2]).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets), initial=0))


def _key_that_stands_twice(body: bytes) -> str | None:
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                found.append(name)
            names.add(name)
    try:
        # not its bytes: those might be UTF-16, which nobody else reads as JSON, and whose depth is another one
        json.loads(body.decode(), object_pairs_hook=look)
    except ValueError:
        # not JSON: whoever reads it says so
        return None
    return found[0] if found else None


def is_one_of(content_type: str | None, allowed: Sequence[str]) -> bool:
    """Whether a body of that type, whatever its case and parameters, is one of the patterns of media types."""
    media = (content_type or "").partition(";")[0].strip().lower()
    return any(fnmatchcase(media, pattern) for pattern in allowed)
