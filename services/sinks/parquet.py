"""Usage events as Parquet files, partitioned by date and hour (UTC).

In:    usage events with their places on the topic.
Out:   the bytes of files, by the folder they go to.
Never: a column that changes its type.

A request that was delivered twice has two rows with the same `origin`: `kafka_partition` and `kafka_offset` tell them
apart, and whoever counts takes one for each origin.
"""

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from shared.contracts.usage import UsageEvent

Row = tuple[int, int, UsageEvent]
_TEXTS = ("kind", "id", "project", "operation", "client", "source", "reason", "trace_id", "origin", "step", "address",
          "token", "path", "proof")
_NUMBERS = ("tasks", "bytes_in", "bytes_out")


def arrow() -> Any:
    """The library, which is not there unless it is asked for. Raises RuntimeError."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as exc:
        raise RuntimeError("Parquet files need pyarrow: install weir[parquet]") from exc
    return pyarrow


def schema() -> Any:
    """The columns."""
    pa = arrow()
    return pa.schema([
        ("time", pa.timestamp("ms", tz="UTC")), *((name, pa.string()) for name in _TEXTS), ("status", pa.int16()),
        *((name, pa.int64()) for name in _NUMBERS), ("micros", pa.int64()),
        ("timing", pa.map_(pa.string(), pa.int64())), ("observed", pa.list_(pa.string())),
        ("kafka_partition", pa.int32()), ("kafka_offset", pa.int64())])


def files_of(rows: Iterable[Row]) -> dict[str, bytes]:
    """Folder -> a file with its events, in their order."""
    pa = arrow()
    by_hour: dict[str, list[Row]] = {}
    for row in rows:
        by_hour.setdefault(_folder(row[2].time), []).append(row)
    columns = schema()
    result = {}
    for folder, found in by_hour.items():
        out = io.BytesIO()
        pa.parquet.write_table(pa.Table.from_pylist([_record(*row) for row in found], columns), out, compression="zstd")
        result[folder] = out.getvalue()
    return result


def _folder(time_ms: int) -> str:
    at = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"date={at:%Y-%m-%d}/hour={at:%H}"


def _record(partition: int, offset: int, event: UsageEvent) -> dict[str, Any]:
    return {**{name: getattr(event, name) for name in (*_TEXTS, *_NUMBERS, "status", "observed")},
            "time": datetime.fromtimestamp(event.time / 1000, UTC), "timing": list(event.timing.items()),
            "micros": sum(event.timing.values()), "kafka_partition": partition, "kafka_offset": offset}
