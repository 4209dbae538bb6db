"""Where a schema goes on: in the parts beside it, and in those that it refers to.

In:    a schema.
Out:   its parts, with what resolves their references.
Never: what a keyword means.
"""

from collections.abc import Iterable
from typing import Any

from jsonschema_rs import Draft202012, ReferencingError, Registry, Resolver

_BASE = "weir:"
# keywords whose schemas look at the same part of a value
LISTS, REFERENCES = ("allOf", "anyOf", "oneOf"), ("$ref", "$dynamicRef")


def resolver_of(schema: Any) -> Resolver:
    """For the references of a whole schema."""
    return Registry([(_BASE, schema if isinstance(schema, dict) else {})], draft=Draft202012).resolver(_BASE)


def inside(schema: Any, resolver: Resolver) -> Resolver:
    """Where references of a part begin. One with a name of its own that was referred to is in there already, and a name
    that is relative leads somewhere else from there, or nowhere."""
    if not isinstance(schema.get("$id"), str):
        return resolver
    try:
        found = resolver.lookup(schema["$id"])
    except ReferencingError:
        return resolver
    return found.resolver if found.contents == schema else resolver


def parts(found: Any) -> Iterable[Any]:
    """The schemas of a list, or of an object by name."""
    if isinstance(found, dict):
        return found.values()
    return found if isinstance(found, list) else ()
