"""JSON pointers (RFC 6901).

In:    names and indices of a place; a pointer.
Out:   the pointer; the names.
Never: a document.

Pure.
"""

from collections.abc import Iterable


def pointer_to(path: Iterable[str | int]) -> str:
    """Of a place; of the whole document without any."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def names_in(pointer: str) -> list[str]:
    """What leads to a place, from the outside in; none leads to the whole document."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
