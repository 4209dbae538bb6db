"""A batch of records: what fits into it, what goes on in smaller ones, and how it ends.

In:    records.
Out:   batches as the client sends them; the future that all records of a batch share.
Never: a client, a topic.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatch

from shared.errors import WeirError
from shared.runtime.tasks import pass_on

Headers = list[tuple[str, bytes]]
# what is published in the place of a record
Instead = Callable[[], Iterable[asyncio.Future[None]]]
# a broker takes batches of 1 048 588 bytes unless told otherwise; a batch has 61 bytes beside its records
LARGEST_RECORD = 1_048_500
# at most so many bytes are lengths, deltas and attributes of a record, and lengths of one header
_RECORD_BYTES, _HEADER_BYTES = 40, 10
# a character of a header's name takes up to four bytes
_NAME_BYTES = 4


@dataclass(slots=True)
class Batch:
    """One that fills, or is under way."""

    builder: Any
    acknowledged: asyncio.Future[None]
    records: int = 0
    # of each record; which of them the broker has refused alone
    instead: list[Instead | None] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


def end(batch: Batch, error: WeirError) -> None:
    """As failed, unless all that was refused has something in its place: then with that."""
    instead = [one for number in batch.refused if (one := batch.instead[number]) is not None]
    if not instead or len(instead) < len(batch.refused):
        batch.acknowledged.set_exception(error)
        return
    try:
        published = asyncio.gather(*(effect for one in instead for effect in one()))
    except WeirError as exc:
        batch.acknowledged.set_exception(exc)
        return
    published.add_done_callback(lambda done: pass_on(done, batch.acknowledged))


def size_of(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """What a record takes at the most."""
    size = _RECORD_BYTES + len(key or b"") + len(value or b"") + _HEADER_BYTES * len(headers)
    for name, content in headers:
        size += _NAME_BYTES * len(name) + len(content)
    return size


def records_of(builder: Any) -> deque[Any]:
    """What stands in a batch that was closed."""
    return deque(DefaultRecordBatch(bytes(builder._build())))


def fill(builder: Any, records: deque[Any], most: int) -> list[Any]:
    """Move records into a batch of so many bytes, or a single one; which."""
    part: list[Any] = []
    while records:
        one = records[0]
        if part and builder.size() + size_of(one.key, one.value, one.headers) > most:
            break
        if builder.append(timestamp=one.timestamp, key=one.key, value=one.value, headers=one.headers) is None:
            break
        part.append(records.popleft())
    return part
