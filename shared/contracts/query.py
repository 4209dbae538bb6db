"""A question about usage on `weir.queries`, and its answer.

In:    which project, which range, by which dimensions.
Out:   `UsageQuery`, `UsageRow`, both ways. Value of a query: a JSON object; its headers: the reply address.
Never: the counting itself.

The answer is a reply record whose body is {"rows": [...], "until_ms": n}; times are unix ms, ranges half open.
"""

from dataclasses import dataclass
from typing import Any, Self

import orjson

from shared.contracts import codec
from shared.errors import InputInvalid

DIMENSIONS = ("operation", "client", "status")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """`by`: the dimensions to keep apart, any of `DIMENSIONS`; the others are summed."""

    project: str
    since_ms: int
    until_ms: int
    by: tuple[str, ...] = DIMENSIONS

    def to_json(self) -> bytes:
        """The record's value."""
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, value: bytes | None) -> Self:
        """Read a query. Raises BadRecord (not JSON) or InputInvalid (a member is wrong)."""
        doc = codec.load_object(value, "usage query")
        project, since, until, by = (doc.get(key) for key in ("project", "since_ms", "until_ms", "by"))
        by = list(DIMENSIONS) if by is None else by
        if not isinstance(project, str) or not project:
            raise InputInvalid("usage query: project is missing")
        if not (isinstance(since, int) and isinstance(until, int) and 0 <= since <= until):
            raise InputInvalid("usage query: since_ms and until_ms must be unix milliseconds, since_ms first")
        if not isinstance(by, list) or any(name not in DIMENSIONS for name in by):
            raise InputInvalid(f"usage query: by may name {', '.join(DIMENSIONS)}")
        return cls(project=project, since_ms=since, until_ms=until, by=tuple(by))


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """Sums of one group; a dimension that was not asked for is None."""

    operation: str | None
    client: str | None
    status: int | None
    requests: int
    tasks: int
    bytes_in: int
    bytes_out: int

    @classmethod
    def from_doc(cls, doc: dict[str, Any]) -> Self:
        """Read one row of an answer."""
        return cls(**{name: doc.get(name) for name in cls.__slots__})  # type: ignore[arg-type]  # values come from our own rows
