"""A question about usage on `weir.queries`, and its answer.

In:    which project, which range, by which dimensions.
Out:   `UsageQuery`, `UsageAnswer`, both ways. Value of a query: a JSON object; its headers: the reply address.
Never: the counting itself.

The answer is a reply record. Times are unix ms, ranges half open; an answer names the range that it covers, for old
counters are kept by the hour, the day or the month alone. Quantiles are in microseconds, right within 5 percent.
"""

import csv
import io
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta, Struct, field

from shared.errors import BadRecord, InputInvalid

Dimension = Literal["project", "operation", "client", "source", "status", "reason"]
Measure = Literal["requests", "tasks", "bytes_in", "bytes_out", "errors", "refused", "late"]
Granularity = Literal["minute", "hour", "day", "month"]
DIMENSIONS: tuple[Dimension, ...] = ("project", "operation", "client", "source", "status", "reason")
MEASURES: tuple[Measure, ...] = ("requests", "tasks", "bytes_in", "bytes_out", "errors", "refused", "late")
QUANTILES = ("p50_us", "p95_us", "p99_us")
GRANULARITIES: tuple[Granularity, ...] = ("minute", "hour", "day", "month")
MAX_ROWS = 2_000
_DEFAULT_BY: tuple[Dimension, ...] = ("operation", "client", "status")
Moment = Annotated[int, Meta(ge=0, lt=2**48)]


class UsageQuery(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`project` null: all of them. `by`: the dimensions to keep apart, `operation`, `client` and `status` where it is
    not there; the others are summed. `where`: values that a dimension may have, `*` and `?` standing for any
    characters, `5xx` for statuses. `per`: rows for each bucket of time. The `top` groups by `order`, after the first
    `skip`. `compare`: with the range of the same length before.

    `ask: verify` counts the range again, from the topic, and answers what differs.
    """

    ask: Literal["usage", "verify"] = "usage"
    project: str | None = None
    since_ms: Moment
    until_ms: Moment
    by: tuple[Dimension, ...] = _DEFAULT_BY
    where: dict[Dimension, list[str]] = {}
    per: Granularity | None = None
    top: Annotated[int, Meta(ge=1, le=MAX_ROWS)] = 1_000
    skip: Annotated[int, Meta(ge=0, lt=2**31)] = 0
    order: Measure = "requests"
    compare: bool = False

    def to_json(self) -> bytes:
        """The record's value."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, value: bytes | None) -> Self:
        """Read a query. Raises BadRecord (not JSON) or InputInvalid (a member is wrong)."""
        try:
            query = _QUERY.decode(value or b"")
        except msgspec.ValidationError as exc:
            raise InputInvalid(f"usage query: {exc}") from exc
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise BadRecord(f"usage query is not JSON: {exc}") from exc
        if query.since_ms > query.until_ms:
            raise InputInvalid("usage query: since_ms is after until_ms")
        if query.project == "":
            raise InputInvalid("usage query: project is empty; leave it out to ask for all of them")
        return query  # type: ignore[return-value]  # the decoder's type is this class


class Sums(Struct, kw_only=True):
    """What was counted. `errors`: statuses from 500, `refused`: from 400; `late`: callers that heard no answer in time,
    or were gone before it came."""

    requests: int = 0
    tasks: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    errors: int = 0
    refused: int = 0
    late: int = 0
    p50_us: int | None = None
    p95_us: int | None = None
    p99_us: int | None = None


class UsageRow(Sums, kw_only=True):
    """One group; a dimension that was not asked for is null. `time`: start of its bucket. `before`: the same group in
    the range before."""

    time: int | None = None
    project: str | None = None
    operation: str | None = None
    client: str | None = None
    source: str | None = None
    status: int | None = None
    reason: str | None = None
    before: Sums | None = None


class UsageAnswer(Struct, kw_only=True):
    """`groups`: how many there are, before `top` and `skip`; `total`: the sum of all of them."""

    rows: list[UsageRow]
    total: Sums
    groups: int
    since_ms: int
    until_ms: int
    before: Sums | None = None

    def to_json(self) -> bytes:
        """The reply's body."""
        return msgspec.json.encode(self)


class Difference(Struct, kw_only=True):
    """A counter and its recount that are not the same."""

    time: int
    project: str
    operation: str
    client: str
    source: str
    status: int
    reason: str
    measure: str
    counted: int
    recounted: int


class Verification(Struct, kw_only=True):
    """Counters beside a recount of the topic.

    `repeated_requests` have several events, since they were delivered several times; where those say different things,
    `difference` allows for either. `first_ms`: what the topic still holds begins there. `stream`: what analytics has
    read since it began: envelopes, requests, deliveries, repeats, `missing_envelopes`.
    """

    since_ms: int
    until_ms: int
    counted: dict[str, int]
    recounted: dict[str, int]
    difference: int
    differences: list[Difference] = []
    events_read: int = 0
    repeated_events: int = 0
    repeated_requests: int = 0
    first_ms: int | None = None
    stream: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The reply's body."""
        return msgspec.json.encode(self)


def columns(by: Iterable[str], *, per: bool) -> list[str]:
    """What a table of rows shows, in order."""
    return [*(["time"] if per else []), *by, *MEASURES, *QUANTILES]


def to_csv(rows: Iterable[dict[str, Any]], names: list[str]) -> str:
    """Rows as CSV (RFC 4180), with a header line. A text that a spreadsheet would run as a formula gets a quote."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in names])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


_QUERY = msgspec.json.Decoder(UsageQuery)
